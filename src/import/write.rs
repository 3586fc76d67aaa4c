//! The policy as text: sorted, grouped by resource, one line a route where it fits, what needs a look in comments.

mod head;
mod words;

use std::collections::{BTreeMap, BTreeSet};

use super::closed::{Closed, Lines};
use super::companions::Companions;
use super::document::Document;
use super::draft::{Access, Draft};
use super::include::{Included, Member, Taken, denied as undecided, join};
use super::{Options, Reason, Report, template};
use crate::key::visible::escaped;
use head::head;
use words::{PROSE, list, scalar, shortened};

/// Columns that a line may have before it is broken.
const WIDTH: usize = 140;
/// Columns that a comment may have before it goes on in the next line.
const COMMENT: usize = 100;
/// The order of methods on one path.
const METHODS: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];

/// What routes are sorted by: path, then method.
pub(super) fn order<'a>(draft: &'a Draft<'_>) -> (&'a str, usize) {
    let method = METHODS.iter().position(|method| *method == draft.operation.method);
    (&draft.template, method.unwrap_or(METHODS.len()))
}

/// All that the text is made of.
#[derive(Debug)]
pub(super) struct Sheet<'a> {
    pub(super) document: &'a Document,
    pub(super) drafts: &'a [Draft<'a>],
    pub(super) closed: &'a Closed,
    pub(super) companions: &'a Companions,
    pub(super) included: &'a Included,
    pub(super) report: &'a Report,
    pub(super) options: &'a Options,
}

impl Sheet<'_> {
    /// Renders the whole file.
    pub(super) fn render(&self) -> String {
        let mut out = String::new();
        head(&mut out, self);
        out.push_str("version: 1\n");
        scopes(&mut out, self);
        parameters(&mut out, self.included, &self.options.include);
        suggestions(&mut out, self.document, self.drafts);
        out.push_str("\nroutes:\n");
        routes(&mut out, self);
        left_out(&mut out, self.report);
        out
    }
}

/// One line, also where the document's own words have a line break: they could otherwise write routes.
fn line(out: &mut String, text: &str) {
    out.push_str(&escaped(text));
    out.push('\n');
}

/// A comment, broken where it is long.
fn comment(out: &mut String, prefix: &str, text: &str) {
    let mut row = prefix.to_owned();
    let mut is_empty = true;
    for word in text.split_whitespace().flat_map(pieces) {
        if !is_empty && row.len() + 1 + word.len() > COMMENT {
            line(out, &row);
            row = format!("{prefix}  ");
        }
        row.push(' ');
        row.push_str(&word);
        is_empty = false;
    }
    line(out, &row);
}

/// A word as it can be shown, in pieces where no line has room for it.
fn pieces(word: &str) -> Vec<String> {
    let letters: Vec<char> = escaped(word).chars().collect();
    letters.chunks(COMMENT).map(|piece| piece.iter().collect()).collect()
}

/// The vocabulary: every scope that a route or a member names.
fn scopes(out: &mut String, sheet: &Sheet<'_>) {
    let Sheet { document, drafts, included, .. } = sheet;
    let of_routes = drafts.iter().flat_map(|draft| match &draft.access {
        Access::Scopes(alternatives) => alternatives.as_slice(),
        Access::Anyone | Access::Key | Access::Unstated => &[],
    });
    let mut names: BTreeSet<&str> = of_routes.flatten().map(String::as_str).collect();
    let of_routes_alone = included
        .routes
        .iter()
        .filter_map(|taken| if let Taken::Own(members) = taken { Some(members.values()) } else { None });
    let members = included.members.values().chain(of_routes_alone.flatten());
    names.extend(members.flat_map(|member| &member.scopes).map(String::as_str));
    if names.is_empty() {
        return;
    }
    out.push_str("\nscopes:\n");
    for name in names {
        let text = document
            .scope_description(name)
            .and_then(|text| text.lines().next())
            .map(|text| shortened(text, PROSE))
            .or_else(|| describe(name));
        let text = text.map_or_else(|| String::from("{}"), |text| scalar(&text));
        line(out, &format!("  {}: {text}", scalar(name)));
    }
}

/// `push-tokens:read` reads as "Read push tokens". A name without such parts says nothing.
fn describe(scope: &str) -> Option<String> {
    let (resource, action) = scope.rsplit_once(':')?;
    let mut action = action.to_owned();
    if let Some(first) = action.get_mut(..1) {
        first.make_ascii_uppercase();
    }
    Some(format!("{action} {}", resource.replace(['-', '_', ':'], " ")))
}

fn parameters(out: &mut String, included: &Included, name: &str) {
    if !included.is_ruled {
        return;
    }
    out.push_str("\nparameters:\n");
    comment(
        out,
        "  #",
        "What each member adds to the scopes of the route. The document does not say: it is derived from the operations that serve \
         the same resources. Where they disagree the strictest reading stands here, and the comment says what is doubtful.",
    );
    line(out, &format!("  {}:", scalar(name)));
    out.push_str("    list: comma\n    nested: dot\n");
    // Where all are undecided, the field is as much of a comment as they are.
    let (field, prefix) = match included.members.is_empty() {
        true => ("    # members:", "    #  "),
        false => ("    members:", "      #"),
    };
    if !included.members.is_empty() || !included.undecided.is_empty() {
        line(out, field);
    }
    for (name, member) in &included.members {
        doubts(out, member);
        line(out, &format!("      {}: {}", scalar(name), rule(member)));
    }
    let inner = if included.members.is_empty() { "    #   #" } else { prefix };
    for (name, routes) in &included.undecided {
        comment(
            out,
            inner,
            &format!("{}. Write its scope here, and add it to the query of {}:", undecided(name), join(routes)),
        );
        line(out, &format!("{prefix} {}: SCOPE", scalar(name)));
    }
}

fn doubts(out: &mut String, member: &Member) {
    for doubt in &member.doubts {
        comment(out, "      #", &format!("doubtful: {doubt}"));
    }
}

fn rule(member: &Member) -> String {
    match member.scopes.iter().collect::<Vec<_>>().as_slice() {
        [] => String::from("allow"),
        // Alone it would be the word, not the scope.
        [only] if matches!(only.as_str(), "allow" | "deny") => format!("[{only}]"),
        _ => list(&member.scopes),
    }
}

/// Parameters that add fields to an answer pass by default. They are named, so that the reader may rule them.
fn suggestions(out: &mut String, document: &Document, drafts: &[Draft<'_>]) {
    let mut found: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for draft in drafts {
        for (name, schema) in draft.query(document).filter(|(name, _)| name.starts_with("additional-fields[")) {
            found.entry(name).or_default().extend(super::document::enumeration(document.item(schema)));
        }
    }
    let Some((name, member)) = found.iter().find_map(|(name, members)| Some((name, members.first()?))) else {
        return;
    };
    out.push('\n');
    comment(
        out,
        "#",
        "These parameters add fields to an answer. The document states no scope for them, so they are not ruled here and pass \
         untouched. To ask for a scope, declare the parameter above, for example",
    );
    line(out, &format!("#     {name}: {{ list: comma, members: {{ {member}: SCOPE }} }}"));
    let text = format!(
        "and name on each route what it may take, as `query: {{ {name}: [{member}] }}`: all else is denied then."
    );
    comment(out, "#", &text);
    line(out, "#");
    for (name, members) in found {
        line(out, &format!("#   {name}: {}", members.into_iter().collect::<Vec<_>>().join(", ")));
    }
}

fn routes(out: &mut String, sheet: &Sheet<'_>) {
    let Sheet { drafts, included, .. } = sheet;
    let depth = template::common_depth(&drafts.iter().map(|draft| draft.template.as_str()).collect::<Vec<_>>());
    let mut group = None;
    let mut doubted: BTreeSet<(&str, &BTreeSet<String>)> = BTreeSet::new();
    for (place, (draft, taken)) in drafts.iter().zip(&included.routes).enumerate() {
        let resource = template::resource(&draft.template, depth);
        if group.is_some_and(|last| last != resource) {
            out.push('\n');
        }
        if group != Some(resource) {
            line(out, &format!("  # {resource}"));
            group = Some(resource);
        }
        if let Taken::Own(members) = taken {
            // What is said of a member once holds for the routes below.
            for (name, member) in members.iter().filter(|(name, member)| doubted.insert((name, &member.doubts))) {
                let doubts = member.doubts.iter();
                doubts.for_each(|doubt| comment(out, "  #", &format!("{name} is doubtful: {doubt}")));
            }
        }
        if let Some(text) = sheet.companions.unasked(place) {
            comment(out, "  #", &text);
        }
        for other in sheet.closed.open.get(&draft.label()).into_iter().flatten() {
            comment(out, "  #", &format!("whoever may call this may also call {other}, which is left out:"));
        }
        route(out, draft, taken, &sheet.options.include);
    }
    denied(
        out,
        &sheet.closed.left_out,
        "These are left out (see below), and a less specific template would take their requests: they are denied by name.",
    );
    denied(
        out,
        &sheet.closed.methods,
        "The path alone chooses the template: these methods of a less specific template are denied here, as they would be unsaid.",
    );
}

/// Methods that nobody may call, with the reason.
fn denied(out: &mut String, all: &[Lines], why: &str) {
    if all.is_empty() {
        return;
    }
    out.push('\n');
    comment(out, "  #", why);
    for Lines { methods, template } in all {
        line(out, &format!("  {}: {{ auth: deny }}", scalar(&format!("{methods} {template}"))));
    }
}

fn route(out: &mut String, draft: &Draft<'_>, taken: &Taken, parameter: &str) {
    let label = scalar(&draft.label());
    let members = match taken {
        Taken::Declared(names) => format!("[{}]", names.iter().map(|name| scalar(name)).collect::<Vec<_>>().join(", ")),
        Taken::Nothing => {
            let value = match &draft.access {
                Access::Scopes(alternatives) if alternatives.len() == 1 => list(draft.own_scopes()),
                access => format!("{{ {} }}", requirement(access)),
            };
            return line(out, &format!("  {label}: {value}"));
        }
        Taken::Own(members) => {
            let entries = members.iter().map(|(name, member)| format!("{}: {}", scalar(name), rule(member)));
            format!("{{ {} }}", entries.collect::<Vec<_>>().join(", "))
        }
    };
    let requirement = requirement(&draft.access);
    let query = format!("query: {{ {}: {members} }}", scalar(parameter));
    let one_line = format!("  {label}: {{ {requirement}, {query} }}");
    if one_line.len() <= WIDTH {
        line(out, &one_line);
    } else {
        line(out, &format!("  {label}:"));
        line(out, &format!("    {requirement}"));
        line(out, &format!("    {query}"));
    }
}

fn requirement(access: &Access) -> String {
    match access {
        Access::Anyone => String::from("auth: anyone"),
        Access::Key | Access::Unstated => String::from("auth: key"),
        Access::Scopes(alternatives) => match alternatives.as_slice() {
            [only] => format!("scopes: {}", list(only)),
            several => format!("any_of: [{}]", several.iter().map(list).collect::<Vec<_>>().join(", ")),
        },
    }
}

fn left_out(out: &mut String, report: &Report) {
    if report.left_out.is_empty() {
        return;
    }
    let but =
        if report.left_out.iter().any(|item| item.taken_by.is_some()) { " but where it says otherwise" } else { "" };
    line(out, "");
    line(out, &format!("# Left out, and so denied{but}:"));
    for item in &report.left_out {
        comment(out, "#  ", &item.to_string());
    }
    if report.left_out.iter().any(|item| item.reason == Reason::Public) {
        let text = "Those open without a credential can be added by hand: `{ auth: anyone }` opens one to everybody. --include-public \
                    writes them all so.";
        comment(out, "#", text);
    }
}
