//! Every message about a faulty file as `check` shows it: place, line, mark, mend. Tables of short documents that are wrong,
//! one snapshot a group; whoever changes a message looks at the picture.

mod declarations;
mod files;
mod routes;
mod sections;
mod upstream;

use super::*;

/// The pictures of the faults of each of `documents`.
fn pictures<'d>(documents: impl IntoIterator<Item = &'d str>, picture: impl Fn(&str) -> String) -> String {
    let pictures: Vec<String> = documents
        .into_iter()
        .map(|document| {
            let picture = picture(document);
            assert_ne!(picture, NOTHING, "{document}");
            picture
        })
        .collect();
    pictures.join("\n\n")
}

/// The faults and warnings of a policy with these lines after its version.
fn of_policy(lines: &str) -> String {
    let policy = format!("version: 1\n{lines}\n");
    told(&Case::new().file("scopegate.yaml", &with("")).file("policy.yaml", &policy))
}

/// The faults and warnings of a policy with these routes, one a line.
fn of_routes(routes: &str) -> String {
    let lines: String = routes.lines().map(|line| format!("  {}\n", line.trim_start())).collect();
    of_policy(&format!("routes:\n{lines}"))
}

/// The faults and warnings of the smallest configuration with these lines.
fn of_config(lines: &str) -> String {
    told(&Case::new().file("scopegate.yaml", &with(&format!("{lines}\n"))))
}

/// The faults and warnings of a configuration with this `upstream`.
fn of_upstream(upstream: &str) -> String {
    told(&Case::new().file("scopegate.yaml", &format!("policy: policy.yaml\nupstream: {upstream}\n")))
}

/// What is told where nothing is wrong.
const NOTHING: &str = "nothing is wrong";

/// What `check` shows of a folder.
fn told(case: &Case) -> String {
    let faults = match case.load() {
        Ok(loaded) => loaded.warnings,
        Err(faults) => faults,
    };
    let pictures: Vec<String> = faults.iter().map(|fault| case.anonymous(&fault.render(Style::Plain))).collect();
    match pictures.is_empty() {
        true => NOTHING.to_owned(),
        false => pictures.join("\n\n"),
    }
}
