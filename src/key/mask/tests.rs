use super::*;
use crate::key::secret::Secret;

fn mask() -> Mask<'static> {
    Mask::new("sg")
}

fn minted() -> String {
    String::from_utf8(Secret::mint("sg").unwrap().expose().to_vec()).unwrap()
}

fn shown(text: &str) -> String {
    String::from_utf8(mask().over(text.as_bytes()).bytes().into_owned()).unwrap()
}

/// Every byte as its escape, encoded so many times.
fn encoded(text: &str, times: usize) -> String {
    let percent = format!("%{}", "25".repeat(times - 1));
    text.bytes().map(|byte| format!("{percent}{byte:02x}")).collect()
}

#[test]
fn a_key_is_not_shown_wherever_it_stands() {
    let key = minted();
    assert_eq!(shown(&key), "sg_***");
    assert_eq!(shown(&format!("/api/{key}/a?b={key}")), "/api/sg_***/a?b=sg_***");
    assert_eq!(shown(&format!("Bearer{key}more")), "Bearersg_***");
    assert_eq!(shown(&format!("/sg_a/s%g/{key}")), "/sg_a/s%g/sg_***");
}

#[test]
fn a_key_that_lost_so_few_signs_that_they_could_be_guessed_is_not_shown() {
    let key = minted();
    for length in 28..key.len() {
        assert_eq!(shown(key.get(..length).unwrap()), "sg_***", "{length}");
    }
}

#[test]
fn a_key_is_not_shown_however_it_is_encoded() {
    let key = minted();
    for text in [key.replace('_', "%5F"), encoded(&key, 1), encoded(&key, 2), encoded(&key, 3)] {
        assert_eq!(shown(&format!("/a/{text}/b")), "/a/sg_***/b", "{text}");
    }
}

#[test]
fn a_key_whose_escapes_are_escaped_in_part_is_not_shown() {
    let key = minted();
    for start in ["%2%3573g_", "%252%3573g_", "%7%33g_", "%%373g%5%46", "%2%35%373g_"] {
        let text = key.replacen("sg_", start, 1);
        assert_eq!(shown(&format!("/a/{text}/b")), "/a/sg_***/b", "{text}");
    }
}

#[test]
fn what_is_no_key_is_shown_as_it_is() {
    let key = minted();
    let short = key.get(..27).unwrap();
    let long = "0123456789abcdefghijklmnopqrstuvwxyzABCDEF".repeat(3);
    for text in
        ["", "/api/profiles/1", "sg_", "/msg_01XFDUDYJgAACzvnptvVoYEL", "%", "%2", "%zz_", "/a%20b_c", short, &long]
    {
        assert!(
            matches!(mask().over(text.as_bytes()).bytes(), Cow::Borrowed(bytes) if bytes == text.as_bytes()),
            "{text}"
        );
    }
    assert!(!Mask::new("acme").finds_in(key.as_bytes()), "another prefix makes another key");
    assert!(mask().finds_in(format!("id:{key}").as_bytes()));
}

#[test]
fn what_could_be_made_a_key_again_is_not_shown() {
    let key = minted();
    let mistyped = format!("{}{}", key.get(..38).unwrap(), if key.ends_with('0') { '1' } else { '0' });
    for text in [&mistyped, key.get(..38).unwrap(), key.get(..33).unwrap(), &encoded(key.get(..33).unwrap(), 2)] {
        assert_eq!(shown(&format!("/a/{text}/b")), "/a/sg_***/b", "{text}");
    }
}

#[test]
fn a_key_in_base64_is_not_shown_whatever_stands_before_it() {
    use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD, Engine as _};
    for before in ["", "a", "ab", "user:", "0123456789abcdef0123456789abcdef:", "\u{3ff}\u{3ff}~"] {
        for after in ["", ":", ":x", ":password"] {
            let key = minted();
            let text = format!("{before}{key}{after}");
            let all = [BASE64_STANDARD.encode(&text), BASE64_URL_SAFE_NO_PAD.encode(&text)];
            for form in [all[0].clone(), all[1].clone(), encoded(&all[0], 1), all[0].replace('=', "%3D")] {
                let shown = shown(&format!("/files/{form}/b"));
                assert!(shown.contains("sg_***") && shown.ends_with("/b") && shown.starts_with("/files/"), "{shown}");
                // Whatever is left is of what stood before, and of no more than two bytes of the key.
                let left = shown.trim_start_matches("/files/").split("sg_***").next().unwrap();
                assert!(left.len() <= 3 * (before.len() * 4 / 3 + 4), "{shown}");
                assert!(mask().finds_in(form.as_bytes()));
            }
        }
    }
}

#[test]
fn words_that_were_cut_show_no_piece_of_a_key() {
    let key = minted();
    for kept in 3..key.len() {
        let mut words = format!("It has xx{}..., which is long...", key.get(..kept).unwrap());
        mask().cover(&mut words);
        assert_eq!(words, "It has xxsg_***..., which is long...", "{kept} bytes");
    }
    let mut words = format!("The route does not allow include={key}; leave it out…");
    mask().cover(&mut words);
    assert_eq!(words, "The route does not allow include=sg_***; leave it out…");
}

#[test]
fn debugging_shows_no_key() {
    let key = minted();
    let shown = format!("{:?}", mask().over(format!("/\n{key}").as_bytes()));
    assert_eq!(shown, "\"/\\nsg_***\"");
}

#[test]
fn a_part_of_a_text_is_masked_as_the_whole_is() {
    let text = format!("/{}?a", minted());
    let path = mask().over(text.as_bytes()).part(|text| &text[..text.len() - 2]);
    assert_eq!(*path.bytes(), *b"/sg_***");
}

proptest::proptest! {
    #[test]
    fn a_run_is_found_wherever_it_stands(text in "[a%_. ]{0,90}", shortest in 1_usize..30) {
        let longest = text.split(['_', '.', ' ']).map(str::len).max().unwrap_or(0);
        proptest::prop_assert_eq!(has_run(text.as_bytes(), shortest), longest >= shortest);
    }
}
