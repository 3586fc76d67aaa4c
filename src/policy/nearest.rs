//! The nearest known name to one that is not known, for messages that suggest it.

use std::cell::Cell;

/// The candidate nearest to `word`, if one is near enough to be what was meant: a third of its length may differ.
/// The first of several equally near wins.
pub fn nearest<'c>(word: &str, candidates: impl IntoIterator<Item = &'c str>) -> Option<&'c str> {
    let word = letters(word);
    let most = (word.len() / 3).max(1);
    candidates
        .into_iter()
        .filter_map(|candidate| Some((distance(&word, candidate, most)?, candidate)))
        .min_by_key(|(far, _)| *far)
        .map(|(_, candidate)| candidate)
}

/// Nearest names for the faults of one file. It stops to look once it has compared very many: whoever has so many wrong
/// names does not read what each is near to, and each is compared with every right one.
#[derive(Debug)]
pub struct Guesses {
    /// How many candidates may yet be compared, but for those of the search that comes to it.
    left: Cell<usize>,
}

impl Guesses {
    /// What one file may compare: a hundred faults, as many as are shown, with a thousand names each.
    pub const MOST: usize = 100_000;

    /// As [`nearest`]; `None` also once too many have been compared.
    pub fn nearest<'c>(&self, word: &str, candidates: impl IntoIterator<Item = &'c str>) -> Option<&'c str> {
        if self.left.get() == 0 {
            return None;
        }
        let counted = candidates.into_iter().inspect(|_| self.left.set(self.left.get().saturating_sub(1)));
        nearest(word, counted)
    }
}

impl Default for Guesses {
    fn default() -> Self {
        Self { left: Cell::new(Self::MOST) }
    }
}

/// More than any two names differ in.
const FAR: usize = 1_000_000;

/// The letters of a name; their case is free.
fn letters(name: &str) -> Vec<char> {
    name.chars().flat_map(char::to_lowercase).collect()
}

/// How many letters must be put in, taken out, exchanged or swapped with the next to make `left` out of `right`, if no
/// more than `most`.
fn distance(left: &[char], right: &str, most: usize) -> Option<usize> {
    let right = letters(right);
    if left.len().abs_diff(right.len()) > most {
        return None;
    }
    let cell = |row: &[usize], at: usize| row.get(at).copied().unwrap_or(FAR);
    let mut above: Vec<usize> = (0..=right.len()).collect();
    let mut two_above = Vec::new();
    let mut least_above = 0;
    for (down, letter) in left.iter().enumerate() {
        let mut row = Vec::with_capacity(above.len());
        row.push(down + 1);
        for (across, other) in right.iter().enumerate() {
            let exchanged = cell(&above, across) + usize::from(letter != other);
            let changed = cell(&above, across + 1).min(cell(&row, across)) + 1;
            let is_swap =
                across > 0 && down > 0 && right.get(across - 1) == Some(letter) && left.get(down - 1) == Some(other);
            let swapped = if is_swap { cell(&two_above, across - 1) + 1 } else { exchanged };
            row.push(exchanged.min(changed).min(swapped));
        }
        // What comes below is made of these two rows, and is no less.
        let least = row.iter().copied().min().unwrap_or(FAR);
        if least.min(least_above) > most {
            return None;
        }
        least_above = least;
        two_above = std::mem::replace(&mut above, row);
    }
    above.last().copied().filter(|far| *far <= most)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_of_the_hand_finds_what_was_meant() {
        let known = ["listen", "upstream", "policy"];
        assert_eq!(nearest("litsen", known), Some("listen"));
        assert_eq!(nearest("Upstream", known), Some("upstream"));
        assert_eq!(nearest("polcy", known), Some("policy"));
    }

    #[test]
    fn a_third_of_the_letters_may_differ_and_no_more() {
        assert_eq!(nearest("listxx", ["listen"]), Some("listen"));
        assert_eq!(nearest("lixxx", ["listen"]), None);
        assert_eq!(nearest("cat", ["dog", "bat", "hat"]), Some("bat"), "the first of two equally near");
        assert_eq!(nearest("listex", ["lisxx", "listen"]), Some("listen"), "the nearer of two");
    }

    #[test]
    fn each_letter_put_in_taken_out_exchanged_or_swapped_counts() {
        for (word, other) in [
            ("xxabc", "abc"),
            ("abcxx", "abc"),
            ("axbxc", "abc"),
            ("xbcdx", "abcde"),
            ("badc", "abcd"),
            ("xabcd", "abcde"),
        ] {
            assert_eq!(nearest(word, [other]), None, "{word} and {other} differ in two");
            assert_eq!(nearest(other, [word]), None, "{other} and {word} differ in two");
        }
        for (word, other) in
            [("xabc", "abc"), ("abxc", "abc"), ("abcx", "abc"), ("abx", "abc"), ("bac", "abc"), ("acb", "abc")]
        {
            assert_eq!(nearest(word, [other]), Some(other), "{word} and {other} differ in one");
            assert_eq!(nearest(other, [word]), Some(word), "{other} and {word} differ in one");
        }
    }

    #[test]
    fn what_is_compared_for_one_file_has_an_end() {
        let compared = Cell::new(0_usize);
        let names: Vec<String> = (0..1_000).map(|at| format!("s{at}")).collect();
        let names = || names.iter().map(String::as_str).inspect(|_| compared.set(compared.get() + 1));
        let guesses = Guesses::default();
        let found = (0..10_000).filter(|_| guesses.nearest("s7", names()).is_some()).count();
        assert_eq!((found, compared.get()), (100, Guesses::MOST));
        // A search that has begun is done in full.
        let guesses = Guesses { left: Cell::new(1) };
        assert_eq!(guesses.nearest("sq999", names()), Some("s999"));
        assert_eq!(guesses.nearest("sq999", names()), None);
    }

    #[test]
    fn a_stranger_finds_nothing() {
        assert_eq!(nearest("backend", ["listen", "upstream"]), None);
        assert_eq!(nearest("", ["listen"]), None);
    }
}
