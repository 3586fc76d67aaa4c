use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::key::mask::Mask;
use crate::policy::{Invalid, Trace};
use crate::proxy::reply::{Reply, Told};
use crate::snapshot::{Accept, ErrorFormat};

/// A refusal for the lack of scopes, with so much to tell of its route.
fn lacking(label: &str) -> Trace {
    Trace {
        decision: "deny",
        status: 403,
        code: Some("insufficient_scope"),
        reason: format!("The key lacks lists:read, which {label} asks for; use a key that holds it."),
        route: Some(label.to_owned()),
        required: vec!["lists:read".to_owned()],
        granted: Vec::new(),
        missing: vec!["lists:read".to_owned()],
        because: Vec::new(),
        any_of: Vec::new(),
        parameter: None,
        member: None,
    }
}

fn compose(denial: Denial, label: &str, setting: &Setting<'_>, out: &mut Vec<u8>) -> usize {
    let told = (denial == Denial::InsufficientScope).then(|| Told::new(lacking(label), Mask::new("sg")));
    Reply::denial(denial, told.as_ref()).write(setting, out)
}

/// The denials that are kept, each under its number.
const KEPT: [(usize, Denial); 4] = [
    (0, Denial::ExpiredKey),
    (1, Denial::InvalidKey(Invalid::Unknown)),
    (2, Denial::MissingKey),
    (3, Denial::InsufficientScope),
];

fn setting<'a>(accept: &'a Accept, request_id: &'a [u8]) -> Setting<'a> {
    Setting {
        accept,
        format: ErrorFormat::Problem,
        request_id,
        date: *b"Thu, 01 Jan 1970 00:00:00 GMT",
        origin: b"",
        head: false,
        connection: Connection::Persistent,
        grpc: false,
    }
}

#[test]
fn refusals_that_differ_have_places_that_differ_and_those_that_tell_of_a_caller_have_none() {
    let place = |denial: Denial| Repeated::place(denial, || Some(0)).map(|place| (place, denial.code()));
    let mut places: Vec<_> = Denial::ALL.iter().filter_map(|denial| place(*denial)).collect();
    places.sort_unstable();
    assert_eq!(places, KEPT.map(|(place, denial)| (place, denial.code())));
    let whys = [Invalid::Deleted, Invalid::Disabled, Invalid::Malformed, Invalid::Mismatched, Invalid::Unknown];
    for why in whys.map(Denial::InvalidKey) {
        assert_eq!(place(why), place(KEPT[1].1), "{why:?}: whatever is wrong with a key is told alike");
    }
    assert_eq!(Repeated::place(Denial::InsufficientScope, || Some(7)), Some(10), "each route has its own");
    assert_eq!(Repeated::place(Denial::InsufficientScope, || None), None);
}

proptest! {
    #[test]
    fn an_answer_that_is_kept_is_the_one_that_would_be_written(
        format in prop::sample::select(vec![ErrorFormat::JsonApi, ErrorFormat::Mailjet, ErrorFormat::Problem]),
        label in "GET /[a-z\"\\\\é{}/]{0,20}",
        asked in vec(
            (
                prop::sample::select(KEPT.to_vec()),
                prop_oneof![4 => "[0-9a-f]{32}", 1 => "[0-9a-z._~-]{1,64}"],
                "[A-Za-z0-9, :]{29}",
                prop::sample::select(vec![Connection::Close, Connection::KeepAlive, Connection::Persistent]),
                (prop::bool::weighted(0.1), prop::bool::weighted(0.1), prop::bool::weighted(0.1)),
            ),
            20,
        ),
    ) {
        let accept = Accept { bearer: true, basic: true, ..Accept::default() };
        let forms = Forms::default();
        for ((place, denial), id, date, connection, (head, grpc, has_origin)) in asked {
            let setting = Setting {
                format,
                date: date.as_bytes().try_into().unwrap(),
                origin: if has_origin { b"https://a.example" } else { b"" },
                head,
                connection,
                grpc,
                ..setting(&accept, id.as_bytes())
            };
            // What is in the buffer already stays.
            let (mut fast, mut slow) = (b"before".to_vec(), b"before".to_vec());
            let write = |setting: &Setting<'_>, out: &mut Vec<u8>| compose(denial, &label, setting, out);
            let told = forms.write((Repeated(place), &setting), &mut fast, write);
            prop_assert_eq!(told, write(&setting, &mut slow));
            prop_assert_eq!(String::from_utf8(fast).unwrap(), String::from_utf8(slow).unwrap());
        }
    }
}

#[test]
fn an_answer_is_composed_once_and_kept() {
    let accept = Accept::default();
    let id = [b'a'; 32];
    let forms = Forms::default();
    let composed = std::cell::Cell::new(0);
    for _ in 0..10 {
        forms.write((Repeated(3), &setting(&accept, &id)), &mut Vec::new(), |setting, out| {
            composed.set(composed.get() + 1);
            compose(Denial::InsufficientScope, "GET /a", setting, out)
        });
    }
    // For its caller, and for those after it.
    assert_eq!(composed.get(), 2);
}

#[test]
fn no_more_answers_are_kept_than_there_is_room_for() {
    let accept = Accept::default();
    let id = [b'a'; 32];
    let forms = Forms::default();
    for route in 0..2_000 {
        let label = format!("GET /{route}/{}", "a".repeat(300));
        let mut out = Vec::new();
        forms.write((Repeated(3 + route), &setting(&accept, &id)), &mut out, |setting, out| {
            compose(Denial::InsufficientScope, &label, setting, out)
        });
        assert!(String::from_utf8(out).unwrap().contains(&label));
    }
    let kept = forms.0.borrow().bytes;
    assert!((MOST..MOST + 2_000).contains(&kept), "{kept}");
    forms.let_go();
    assert_eq!((forms.0.borrow().bytes, forms.0.borrow().forms.capacity()), (0, 0));
}

#[test]
fn an_answer_in_which_a_mark_stands_by_itself_is_not_kept() {
    let accept = Accept::default();
    let id = [b'a'; 32];
    let forms = Forms::default();
    for _ in 0..2 {
        let (mut fast, mut slow) = (Vec::new(), Vec::new());
        let label = format!("GET /{ID}");
        let write = |setting: &Setting<'_>, out: &mut Vec<u8>| compose(Denial::InsufficientScope, &label, setting, out);
        forms.write((Repeated(3), &setting(&accept, &id)), &mut fast, write);
        write(&setting(&accept, &id), &mut slow);
        assert_eq!(fast, slow);
    }
    assert_eq!(forms.0.borrow().bytes, 0);
}
