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

/// More than any two names differ in.
const FAR: usize = 1_000_000;

/// How many letters must be put in, taken out, exchanged or swapped with the next to make `left` out of `right`; letter
/// case is free.
fn distance(left: &str, right: &str) -> usize {
    let left: Vec<char> = left.chars().flat_map(char::to_lowercase).collect();
    let right: Vec<char> = right.chars().flat_map(char::to_lowercase).collect();
    let cell = |row: &[usize], at: usize| row.get(at).copied().unwrap_or(FAR);
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
    fn a_third_of_the_letters_may_differ_and_no_more() {
        assert_eq!(nearest("listxx", ["listen"]), Some("listen"));
        assert_eq!(nearest("lixxx", ["listen"]), None);
        assert_eq!(nearest("cat", ["dog", "bat", "hat"]), Some("bat"), "the first of two equally near");
        assert_eq!(nearest("listex", ["lisxx", "listen"]), Some("listen"), "the nearer of two");
    }

    #[test]
    fn each_letter_put_in_taken_out_exchanged_or_swapped_counts() {
        for (word, other) in
            [("xxabc", "abc"), ("abcxx", "abc"), ("axbxc", "abc"), ("xbcdx", "abcde"), ("badc", "abcd")]
        {
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
    fn a_stranger_finds_nothing() {
        assert_eq!(nearest("backend", ["listen", "upstream"]), None);
        assert_eq!(nearest("", ["listen"]), None);
    }
}
