//! The nearest known name to one that is not known, for messages that suggest it.

/// The candidate nearest to `word`, if one is near enough to be what was meant: a third of its length may differ.
/// The first of several equally near wins.
pub fn nearest<'c>(word: &str, candidates: impl IntoIterator<Item = &'c str>) -> Option<&'c str> {
    let most = (word.chars().count() / 3).max(1);
    candidates
        .into_iter()
        .map(|candidate| (distance(word, candidate), candidate))
        .filter(|(far, _)| *far <= most)
        .min_by_key(|(far, _)| *far)
        .map(|(_, candidate)| candidate)
}

/// How many letters must be put in, taken out, exchanged or swapped with the next to make `left` out of `right`; letter
/// case is free.
fn distance(left: &str, right: &str) -> usize {
    let left: Vec<char> = left.chars().flat_map(char::to_lowercase).collect();
    let right: Vec<char> = right.chars().flat_map(char::to_lowercase).collect();
    let cell = |row: &[usize], at: usize| row.get(at).copied().unwrap_or(usize::MAX / 2);
    let mut above: Vec<usize> = (0..=right.len()).collect();
    let mut two_above = Vec::new();
    for (down, letter) in left.iter().enumerate() {
        let mut row = vec![down + 1];
        for (across, other) in right.iter().enumerate() {
            let exchanged = cell(&above, across) + usize::from(letter != other);
            let changed = cell(&above, across + 1).min(cell(&row, across)) + 1;
            let is_swap =
                across > 0 && down > 0 && right.get(across - 1) == Some(letter) && left.get(down - 1) == Some(other);
            let swapped = if is_swap { cell(&two_above, across - 1) + 1 } else { exchanged };
            row.push(exchanged.min(changed).min(swapped));
        }
        two_above = std::mem::replace(&mut above, row);
    }
    above.last().copied().unwrap_or(0)
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
    fn a_stranger_finds_nothing() {
        assert_eq!(nearest("backend", ["listen", "upstream"]), None);
        assert_eq!(nearest("", ["listen"]), None);
    }
}
