//! Characters that do not show as what they are: faults where they may deceive, warnings where they show nothing and mean nothing.

use super::Reader;
use crate::config::fault::Severity;
use crate::config::text::Draft;
use crate::yaml::{Hidden, Node, Span, Trick};

impl Reader<'_> {
    /// Says that `node` is for people alone: what shows nothing there is told, and is no fault.
    pub(in crate::config) fn prose(&mut self, node: &Node) {
        self.prose.insert(node.span);
    }

    /// Notes every hidden character. What else was noted about the words that have one is taken back: it follows from that.
    pub(super) fn draft_hidden(&mut self) {
        let mut prose: Vec<Span> = self.prose.drain().collect();
        prose.sort_unstable();
        let in_prose = |hidden: &Hidden| {
            let before = prose.partition_point(|span| span.start <= hidden.span.start);
            prose.get(..before).and_then(<[Span]>::last).is_some_and(|span| hidden.span.end <= span.end)
        };
        let is_fault = |hidden: &Hidden| hidden.trick() != Trick::Nothing || (hidden.in_word && !in_prose(hidden));
        let (faults, others): (Vec<Hidden>, Vec<Hidden>) = self.hidden.drain(..).partition(is_fault);
        let places: Vec<Span> = faults.iter().map(|hidden| hidden.span).collect();
        let (text, drafts) = (&self.text, &mut self.drafts);
        drafts.retain(|draft| {
            // Where the text is no YAML, what is wrong is told where it was noticed, behind what is to blame.
            let place = if draft.is_syntax { text.line_extent(draft.span) } else { draft.span };
            let from = places.partition_point(|span| span.start < place.start);
            places.get(from).is_none_or(|span| span.end > place.end)
        });
        drafts.extend(faults.iter().map(|hidden| draft(hidden, Severity::Error)));
        let told = others.iter().filter(|hidden| !hidden.is_variation());
        drafts.extend(told.map(|hidden| draft(hidden, Severity::Warning)));
    }
}

fn draft(hidden: &Hidden, severity: Severity) -> Draft {
    Draft {
        severity,
        span: hidden.span,
        message: hidden.message(),
        help: Some(hidden.help().to_owned()),
        other: None,
        is_syntax: false,
    }
}
