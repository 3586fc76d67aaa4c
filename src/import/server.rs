//! The path of a server's URL.

use serde_json::Value;

/// What stands before every path of a document: the path of a server's URL, its variables replaced by their defaults, without a
/// final slash, query or fragment. Relative where the URL is.
pub(super) fn path(server: &Value) -> String {
    let mut url = server.get("url").and_then(Value::as_str).unwrap_or_default().to_owned();
    for (name, variable) in server.get("variables").and_then(Value::as_object).into_iter().flatten() {
        let default = variable.get("default").and_then(Value::as_str).unwrap_or_default();
        url = url.replace(&format!("{{{name}}}"), default);
    }
    let url = url.split(['?', '#']).next().unwrap_or_default();
    let rest = url.split_once("://").map(|(_, rest)| rest).or_else(|| url.strip_prefix("//"));
    let path = match rest {
        Some(rest) => rest.find('/').and_then(|at| rest.get(at..)).unwrap_or_default(),
        None => url,
    };
    // A variable may stand for nothing.
    let is_absolute = path.starts_with('/');
    let segments: Vec<&str> = path.split('/').filter(|segment| !segment.is_empty() && *segment != ".").collect();
    match (segments.is_empty(), is_absolute) {
        (true, _) => String::new(),
        (false, true) => format!("/{}", segments.join("/")),
        (false, false) => segments.join("/"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_base_path_is_the_path_of_the_url_alone() {
        let of = |url: &str| {
            let variables = serde_json::json!({ "version": { "default": "v1" }, "none": { "default": "" } });
            path(&serde_json::json!({ "url": url, "variables": variables }))
        };
        for (url, path) in [
            ("https://api.example", ""),
            ("https://api.example/", ""),
            ("https://api.example/v2/", "/v2"),
            ("https://api.example/v2?key=a/b", "/v2"),
            ("https://api.example/v2#a/b", "/v2"),
            ("https://{tenant}.example:8443/{version}", "/v1"),
            ("https://api.example/{none}/{version}", "/v1"),
            ("https://api.example/{tenant}/v1", "/{tenant}/v1"),
            ("//api.example/v2", "/v2"),
            ("//api.example", ""),
            ("/v2/", "/v2"),
            ("/", ""),
            ("", ""),
            ("v2", "v2"),
            ("./v2", "v2"),
        ] {
            assert_eq!(of(url), path, "{url}");
        }
    }
}
