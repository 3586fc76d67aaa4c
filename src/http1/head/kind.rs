//! What a field name means to the gateway, told once when a head is read.

/// The meaning of a field name, whatever its letter case.
///
/// Names with punctuation other than `-` are never the field they resemble. Some servers read `_` as `-`, and those that hand
/// fields over as variables, as CGI does, may write `_` for every byte that is no letter or digit. So `Content_Length` and
/// `Content.Length` are each a [`Kind::Lookalike`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// `Authorization`.
    Authorization,
    /// `Connection`, which names further fields that end at this hop.
    Connection,
    /// `Content-Length`: read here, written anew.
    ContentLength,
    /// `Content-Type`.
    ContentType,
    /// `Cookie`.
    Cookie,
    /// `Date`.
    Date,
    /// `Expect`.
    Expect,
    /// `Forwarded` (RFC 7239).
    Forwarded,
    /// `Keep-Alive`, `Proxy-Connection`, `Proxy-Authenticate`, `Proxy-Authentication-Info`, `Proxy-Authorization`,
    /// `HTTP2-Settings`: end at this hop. `Proxy`, which CGI would hand over as the variable `HTTP_PROXY`, does so here.
    HopByHop,
    /// `Host`.
    Host,
    /// `X-ScopeGate-*`, with any punctuation for `-`: only the gateway may say these.
    Identity,
    /// A name that reads as one of the others once its punctuation is taken for `-`: never forwarded.
    Lookalike,
    /// `X-HTTP-Method-Override`, `X-HTTP-Method`, `X-Method-Override`, with any punctuation for `-`.
    MethodOverride,
    /// Any other name without `_`.
    Other,
    /// `X-Request-Id`.
    RequestId,
    /// `TE`: ends at this hop.
    Te,
    /// `Trailer`.
    Trailer,
    /// `Transfer-Encoding`: read here, written anew.
    TransferEncoding,
    /// Any other name with `_`.
    Underscore,
    /// `Upgrade`: ends at this hop.
    Upgrade,
    /// `X-Original-*`, `X-Rewrite-*`, `X-Script-Name`, `Script-Name` and `Path-Info`: some servers take the target, or what
    /// is taken off it, from them.
    UrlOverride,
    /// `Via`.
    Via,
    /// `X-Forwarded-*` but for the three that have a kind of their own.
    XForwarded,
    /// `X-Forwarded-For`.
    XForwardedFor,
    /// `X-Forwarded-Host`.
    XForwardedHost,
    /// `X-Forwarded-Proto`.
    XForwardedProto,
    /// `X-Real-IP`.
    XRealIp,
}

/// Longer than every name and prefix below.
const FOLDED: usize = 32;

impl Kind {
    /// Tells the kind of a field name, which is a token.
    pub fn of(name: &[u8]) -> Self {
        match known(name) {
            Self::Other if has_odd_byte(name) => with_odd_bytes(name),
            kind => kind,
        }
    }

    /// The same of a name without punctuation other than `-`, which is less work.
    pub(super) fn of_plain(name: &[u8]) -> Self {
        known(name)
    }

    /// Whether a field of this kind ends at this hop (RFC 9110, 7.6.1), apart from those that `Connection` names.
    pub fn is_hop_by_hop(self) -> bool {
        matches!(self, Self::Connection | Self::HopByHop | Self::Te | Self::TransferEncoding | Self::Upgrade)
    }
}

fn with_odd_bytes(name: &[u8]) -> Kind {
    let mut folded = [0; FOLDED];
    let length = name.len().min(FOLDED);
    for (to, from) in folded.iter_mut().zip(name) {
        *to = if from.is_ascii_alphanumeric() { *from } else { b'-' };
    }
    // A name cut at FOLDED bytes can only match by its prefix: no exact name is that long.
    match known(folded.get(..length).unwrap_or_default()) {
        Kind::Other if name.contains(&b'_') => Kind::Underscore,
        Kind::Other => Kind::Other,
        kind @ (Kind::Identity | Kind::MethodOverride) => kind,
        _ => Kind::Lookalike,
    }
}

fn known(name: &[u8]) -> Kind {
    use Kind::*;
    match name.len() {
        2 if is(name, b"te") => Te,
        3 if is(name, b"via") => Via,
        4 if is(name, b"host") => Host,
        4 if is(name, b"date") => Date,
        5 if is(name, b"proxy") => HopByHop,
        6 if is(name, b"cookie") => Cookie,
        6 if is(name, b"expect") => Expect,
        7 if is(name, b"trailer") => Trailer,
        7 if is(name, b"upgrade") => Upgrade,
        9 if is(name, b"forwarded") => Forwarded,
        9 if is(name, b"path-info") => UrlOverride,
        9 if is(name, b"x-real-ip") => XRealIp,
        10 if is(name, b"connection") => Connection,
        10 if is(name, b"keep-alive") => HopByHop,
        11 if is(name, b"script-name") => UrlOverride,
        12 if is(name, b"content-type") => ContentType,
        12 if is(name, b"x-request-id") => RequestId,
        13 if is(name, b"authorization") => Authorization,
        13 if is(name, b"x-http-method") => MethodOverride,
        13 if is(name, b"x-script-name") => UrlOverride,
        14 if is(name, b"content-length") => ContentLength,
        14 if is(name, b"http2-settings") => HopByHop,
        15 if is(name, b"x-forwarded-for") => XForwardedFor,
        16 if is(name, b"x-forwarded-host") => XForwardedHost,
        16 if is(name, b"proxy-connection") => HopByHop,
        17 if is(name, b"transfer-encoding") => TransferEncoding,
        17 if is(name, b"x-forwarded-proto") => XForwardedProto,
        17 if is(name, b"x-method-override") => MethodOverride,
        18 if is(name, b"proxy-authenticate") => HopByHop,
        19 if is(name, b"proxy-authorization") => HopByHop,
        22 if is(name, b"x-http-method-override") => MethodOverride,
        25 if is(name, b"proxy-authentication-info") => HopByHop,
        _ => family(name),
    }
}

/// Whether `name` is `lower` but for letter case. The length is known when this is compiled, so that it is a few wide compares.
fn is<const N: usize>(name: &[u8], lower: &[u8; N]) -> bool {
    name.len() == N && starts(name, lower)
}

/// Setting one bit is enough to lower a token: no other byte of a token becomes a letter, a digit or `-` by it. Eight bytes are
/// compared at once, the last eight perhaps a second time.
fn starts<const N: usize>(name: &[u8], lower: &[u8; N]) -> bool {
    const CASE: u64 = 0x2020_2020_2020_2020;
    let Some(start) = name.first_chunk::<N>() else {
        return false;
    };
    let same = |left: &[u8; 8], right: &[u8; 8]| u64::from_le_bytes(*left) | CASE == u64::from_le_bytes(*right);
    match (start.last_chunk(), lower.last_chunk()) {
        (Some(left), Some(right)) => {
            same(left, right)
                && start.as_chunks().0.iter().zip(lower.as_chunks().0).all(|(left, right)| same(left, right))
        }
        _ => start.iter().zip(lower).all(|(left, right)| left | 0x20 == *right),
    }
}

/// Whether a byte is neither a letter, a digit nor `-`.
fn has_odd_byte(name: &[u8]) -> bool {
    // Names are short: a look into a table for each byte is less than what wide steps begin and end with.
    const ODD: [bool; 256] = {
        let mut odd = [true; 256];
        let mut byte = b'-';
        while byte <= b'z' {
            #[expect(clippy::indexing_slicing, reason = "a byte is within 256, and this runs in the compiler")]
            {
                odd[byte as usize] = !byte.is_ascii_alphanumeric() && byte != b'-';
            }
            byte += 1;
        }
        odd
    };
    #[expect(clippy::indexing_slicing, reason = "a byte is within 256")]
    name.iter().any(|byte| ODD[usize::from(*byte)])
}

fn family(name: &[u8]) -> Kind {
    let [b'x' | b'X', b'-', ..] = name else {
        return Kind::Other;
    };
    if starts(name, b"x-scopegate-") {
        Kind::Identity
    } else if starts(name, b"x-forwarded-") {
        Kind::XForwarded
    } else if starts(name, b"x-original-") || starts(name, b"x-rewrite-") {
        Kind::UrlOverride
    } else {
        Kind::Other
    }
}
