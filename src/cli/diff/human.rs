//! A difference as a human reads it: one entry a route, those that changed in the same way together, and a count in the end.

use super::Difference;
use crate::cli::console::{Ink, Paint};
use crate::cli::{Console, Failure};
use crate::policy::{Presence, RouteDifference, Shift};

/// How wide the column of words is.
const COLUMN: usize = 10;
/// From so many routes on that changed in the same way, they are one entry.
const ALIKE: usize = 3;

/// The one word for a difference.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Word {
    Added,
    Changed,
    Loosened,
    Removed,
    Tightened,
}

impl Word {
    pub(super) const fn of(presence: Presence, shift: Shift) -> Self {
        match (presence, shift) {
            (Presence::Added, _) => Self::Added,
            (Presence::Removed, _) => Self::Removed,
            (_, Shift { loosened: true, tightened: false }) => Self::Loosened,
            (_, Shift { loosened: false, tightened: true }) => Self::Tightened,
            _ => Self::Changed,
        }
    }

    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Added => "added",
            Self::Changed => "changed",
            Self::Loosened => "loosened",
            Self::Removed => "removed",
            Self::Tightened => "tightened",
        }
    }

    /// The word in its column, in the colour of what it does for callers.
    fn painted(self, paint: Paint, shift: Shift) -> String {
        let ink = match shift {
            Shift { loosened: true, .. } => Ink::Bad,
            Shift { tightened: true, .. } => Ink::Good,
            Shift { .. } => Ink::Plain,
        };
        paint.apply(ink, &format!("{:<COLUMN$}", self.as_str()))
    }
}

impl Difference {
    /// Prints it.
    ///
    /// # Errors
    /// It cannot be written.
    pub(super) fn print(&self, console: &mut Console) -> Result<(), Failure> {
        if self.routes.is_empty() && self.options.is_empty() {
            return console.print("No difference in who may do what.");
        }
        let paint = console.paint();
        for option in &self.options {
            let word = Word::of(Presence::Kept, option.shift).painted(paint, option.shift);
            console.print(format_args!("{word}{}, for every route: {}", option.option, option.what))?;
        }
        let mut printed: Vec<&RouteDifference> = Vec::new();
        for route in &self.routes {
            if printed.iter().any(|other| std::ptr::eq(*other, route)) {
                continue;
            }
            let alike: Vec<&RouteDifference> = self.routes.iter().filter(|other| are_alike(route, other)).collect();
            if alike.len() >= ALIKE {
                self.print_alike(route, &alike, console)?;
                printed.extend(alike);
            } else {
                self.print_one(route, console)?;
            }
        }
        console.print(self.counts())
    }

    fn print_one(&self, route: &RouteDifference, console: &mut Console) -> Result<(), Failure> {
        let paint = console.paint();
        let word = Word::of(route.presence, route.shift).painted(paint, route.shift);
        console.print(format_args!("{word}{}", paint.apply(Ink::Strong, &route.route)))?;
        for line in said(route) {
            console.print(format_args!("{:COLUMN$}{line}", ""))?;
        }
        for (side, file) in [&route.before, &route.after].into_iter().zip(&self.files) {
            if let Some((label, line)) = side {
                let taken = if *label == route.route { String::new() } else { format!("  {label}") };
                let place = paint.apply(Ink::Faint, &format!("{file}:{line}{taken}"));
                console.print(format_args!("{:COLUMN$}{place}", ""))?;
            }
        }
        Ok(())
    }

    /// What changed once, and under it the routes with their lines.
    fn print_alike(
        &self,
        first: &RouteDifference,
        alike: &[&RouteDifference],
        console: &mut Console,
    ) -> Result<(), Failure> {
        let paint = console.paint();
        let word = Word::of(first.presence, first.shift).painted(paint, first.shift);
        console.print(format_args!("{word}{}", paint.apply(Ink::Strong, &format!("{} routes alike", alike.len()))))?;
        for line in said(first) {
            console.print(format_args!("{:COLUMN$}{line}", ""))?;
        }
        for route in alike {
            let sides = [&route.before, &route.after].into_iter().zip(&self.files);
            let places: Vec<String> =
                sides.filter_map(|(side, file)| Some(format!("{file}:{}", side.as_ref()?.1))).collect();
            let places = paint.apply(Ink::Faint, &places.join("  "));
            console.print(format_args!("{:COLUMN$}{}  {places}", "", route.route))?;
        }
        Ok(())
    }

    /// Each difference once, options among them.
    fn counts(&self) -> String {
        let routes = self.routes.iter().map(|route| Word::of(route.presence, route.shift));
        let options = self.options.iter().map(|option| Word::of(Presence::Kept, option.shift));
        let words: Vec<Word> = routes.chain(options).collect();
        let count = |word: Word| format!("{} {}", words.iter().filter(|other| **other == word).count(), word.as_str());
        let mut counts = [Word::Added, Word::Removed, Word::Loosened, Word::Tightened].map(count).to_vec();
        if words.contains(&Word::Changed) {
            counts.push(format!("{} both ways", count(Word::Changed)));
        }
        counts.join(", ")
    }
}

/// Whether two routes that both policies have changed in the same way.
fn are_alike(one: &RouteDifference, other: &RouteDifference) -> bool {
    let alike = one.presence == Presence::Kept && other.presence == Presence::Kept;
    std::ptr::eq(one, other) || (alike && one.shift == other.shift && one.what == other.what)
}

/// What changed, a line each, and which way where one word does not say it.
fn said(route: &RouteDifference) -> Vec<String> {
    let way = match (route.presence, route.shift) {
        (_, Shift { loosened: false, tightened: false }) => None,
        (_, Shift { loosened: true, tightened: true }) => Some("loosened and tightened"),
        (Presence::Kept, _) => None,
        (_, Shift { loosened: true, .. }) => Some("loosened"),
        (_, Shift { .. }) => Some("tightened"),
    };
    let mut lines = route.what.clone();
    if let (Some(way), Some(first)) = (way, lines.first_mut()) {
        *first = format!("{way}: {first}");
    }
    lines
}
