//! The comments at the top of the file.

use std::fmt::Write as _;

use super::super::Options;
use super::super::draft::Access;
use super::words::{PROSE, shortened};
use super::{Sheet, comment, line};

/// What the file is, how to make it again, and what of the document it does not hold.
pub(super) fn head(out: &mut String, sheet: &Sheet<'_>) {
    let Sheet { document, report, drafts, .. } = sheet;
    let title = shortened(&document.title(), PROSE);
    let made = if title.is_empty() { String::from("Policy") } else { format!("Policy for {title},") };
    comment(out, "#", &format!("{made} made from its OpenAPI document by ScopeGate."));
    line(out, "# To make it again:");
    line(out, &format!("#     {}", command(sheet.options)));
    let (routes, operations) = (report.routes, report.operations);
    let text = format!("{routes} of {operations} operations are routes{}", report.merged());
    let but = if sheet.closed.open.is_empty() { "" } else { " but where it says otherwise" };
    comment(out, "#", &format!("{text}; what is left out stands at the end, and is denied{but}."));
    sheet.companions.clauses().iter().for_each(|clause| comment(out, "#", &format!("The document {clause}.")));
    let states = |access: fn(&Access) -> bool| drafts.iter().any(|draft| access(&draft.access));
    if states(|access| *access == Access::Unstated) && !states(|access| matches!(access, Access::Scopes(_))) {
        comment(out, "#", "The document lists no scopes: EVERY ROUTE HERE IS OPEN TO ANY KEY until you write yours.");
    }
    out.push('\n');
}

/// The command that makes the policy again.
fn command(options: &Options) -> String {
    let document = options.document.as_deref().or(options.source.as_deref()).unwrap_or("SPEC");
    let mut command = format!("scopegate import openapi {}", word(document));
    let values = [
        ("--root", options.root.as_ref()),
        ("--scopes-from", options.scopes_from.as_ref()),
        ("--scheme", options.scheme.as_ref()),
    ];
    let include = (options.include != "include").then_some(("--include", Some(&options.include)));
    let free = options.no_scope.iter().map(|name| ("--no-scope", Some(name)));
    let output = [("-o", options.output.as_ref())];
    for (flag, value) in values.into_iter().chain(free).chain(include).chain(output) {
        if let Some(value) = value {
            let _ = write!(command, " {flag} {}", word(value));
        }
    }
    let flags = [
        ("--any-of", options.any_of),
        ("--include-public", options.include_public),
        ("--force", options.output.is_some()),
    ];
    for (flag, said) in flags {
        if said {
            let _ = write!(command, " {flag}");
        }
    }
    command
}

/// One word of a shell's command line.
fn word(text: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "_-./,:=@%+".contains(c);
    if !text.is_empty() && text.chars().all(is_plain) {
        return text.to_owned();
    }
    format!("'{}'", text.replace('\'', "'\\''"))
}
