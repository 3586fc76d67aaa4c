use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use prometheus::proto::MetricType;

use super::*;
use crate::telemetry::label::{CertificateLabel, Code, DecisionLabel, Lookup, MethodLabel, Side};

fn outcome(status: u16, millis: u64) -> Outcome {
    Outcome {
        method: MethodLabel::Get,
        status,
        decision: DecisionLabel::Allow,
        code: None,
        duration: Duration::from_millis(millis),
        upstream: Some(Duration::from_millis(millis)),
    }
}

/// The value of the sample that reads exactly `series`.
fn sample(text: &str, series: &str) -> Option<f64> {
    text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' ')?.parse().ok())
}

fn with_everything() -> Metrics {
    let metrics = Metrics::new(1);
    metrics.keys_from(|| 7);
    metrics.rotate_due_from(|| RotateDue { pair: 1, secret: 2 });
    CertificateLabel::ALL.iter().for_each(|certificate| metrics.set_expiry(*certificate, Some(4_102_444_800)));
    let max_stale = Some(Duration::from_secs(900));
    metrics.store_from(move || StoreFare {
        is_up: true,
        max_stale,
        snapshot: Some(1_800_000_000),
        ..StoreFare::default()
    });
    let up = |name: &str| ServerUp { name: name.to_owned(), is_up: true, is_well: true };
    metrics.servers_from(move || ["10.0.0.1:80", "10.0.0.2:80"].map(up).into());
    metrics.use_writes_from(|| UseWrites { failed: 1, lost: 2, written: 3 });
    metrics.worker(0).unwrap().record(&metrics.route("GET /a"), &outcome(200, 3));
    metrics
}

#[test]
fn every_definition_is_shown_with_its_name_help_and_type() {
    let text = with_everything().render().unwrap();
    for definition in DEFINITIONS {
        let help = format!("# HELP {} {}\n", definition.name, definition.help);
        assert!(text.contains(&help), "{help}");
        let kind = format!("{:?}", definition.kind).to_lowercase();
        assert!(text.contains(&format!("# TYPE {} {kind}\n", definition.name)), "{}", definition.name);
        assert_eq!(definition.name.ends_with("_total"), definition.kind == MetricType::COUNTER);
    }
}

#[test]
fn every_line_is_a_comment_or_a_sample_with_a_number() {
    let text = with_everything().render().unwrap();
    for line in text.lines().filter(|line| !line.starts_with("# ")) {
        let (series, value) = line.rsplit_once(' ').unwrap();
        assert!(value.parse::<f64>().is_ok(), "{line}");
        let name = series.split('{').next().unwrap();
        assert!(name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_'), "{line}");
    }
}

#[test]
fn requests_of_all_workers_are_added_up() {
    let metrics = Metrics::new(2);
    let route = metrics.route("GET /api/profiles/{id}");
    for (worker, times) in [(0, 3), (1, 2)] {
        let cells = metrics.worker(worker).unwrap();
        (0..times).for_each(|_| cells.record(&route, &outcome(200, 3)));
    }
    metrics.worker(1).unwrap().record(&route, &outcome(404, 40));
    let text = metrics.render().unwrap();
    let series = |status: &str| {
        format!(
            r#"scopegate_requests_total{{route="GET /api/profiles/{{id}}",method="GET",status="{status}",decision="allow"}}"#
        )
    };
    assert_eq!(sample(&text, &series("200")), Some(5.0));
    assert_eq!(sample(&text, &series("404")), Some(1.0));
}

#[test]
fn more_combinations_than_one_list_holds_are_all_kept() {
    let metrics = Metrics::new(1);
    let (route, worker) = (metrics.no_route(), metrics.worker(0).unwrap());
    for status in 400..=426 {
        worker.record(&route, &outcome(status, 1));
        worker.record(&route, &outcome(status, 1));
    }
    let text = metrics.render().unwrap();
    for status in 400..=426 {
        let series =
            format!(r#"scopegate_requests_total{{route="none",method="GET",status="{status}",decision="allow"}}"#);
        assert_eq!(sample(&text, &series), Some(2.0), "{status}");
    }
}

#[test]
fn a_duration_falls_into_every_bucket_that_is_not_below_it() {
    let metrics = Metrics::new(1);
    let (route, worker) = (metrics.route("GET /a"), metrics.worker(0).unwrap());
    for millis in [1, 3, 60_000] {
        worker.record(&route, &Outcome { upstream: None, ..outcome(200, millis) });
    }
    let text = metrics.render().unwrap();
    let bucket =
        |le: &str| sample(&text, &format!(r#"scopegate_request_duration_seconds_bucket{{route="GET /a",le="{le}"}}"#));
    assert_eq!(bucket("0.00025"), Some(0.0));
    assert_eq!(bucket("0.001"), Some(1.0));
    assert_eq!(bucket("0.005"), Some(2.0));
    assert_eq!(bucket("30"), Some(2.0));
    assert_eq!(bucket("+Inf"), Some(3.0));
    assert_eq!(sample(&text, r#"scopegate_request_duration_seconds_sum{route="GET /a"}"#), Some(60.004));
    assert!(!text.contains("scopegate_upstream_duration_seconds_bucket"));
}

#[test]
fn routes_that_no_policy_has_any_more_are_not_kept_without_end() {
    let metrics = Metrics::new(1);
    let (held, none) = (metrics.route("GET /held"), metrics.no_route());
    metrics.worker(0).unwrap().record(&held, &outcome(200, 1));
    metrics.worker(0).unwrap().record(&none, &outcome(404, 1));
    drop(none);
    let count = || metrics.routes.read().unwrap().len();
    (0..FORMER_ROUTES).for_each(|number| drop(metrics.route(&format!("GET /{number}"))));
    metrics.set_generation(2);
    assert_eq!(count(), FORMER_ROUTES + 2);
    drop(metrics.route("GET /more"));
    metrics.set_generation(3);
    assert_eq!(count(), 2);
    let text = metrics.render().unwrap();
    assert!(
        ["GET /held", "none"].iter().all(|route| text.contains(&format!("requests_total{{route=\"{route}\""))),
        "{text}"
    );
}

#[test]
fn the_same_label_keeps_its_cells_across_policies() {
    let metrics = Metrics::new(1);
    let worker = metrics.worker(0).unwrap();
    worker.record(&metrics.route("GET /a"), &outcome(200, 1));
    let again = metrics.route("GET /a");
    worker.record(&again, &outcome(200, 1));
    assert!(Arc::ptr_eq(&again, &metrics.route("GET /a")));
    let text = metrics.render().unwrap();
    assert_eq!(
        sample(&text, r#"scopegate_requests_total{route="GET /a",method="GET",status="200",decision="allow"}"#),
        Some(2.0)
    );
}

#[test]
fn a_code_is_counted_and_every_other_code_stands_at_zero() {
    let metrics = Metrics::new(1);
    let denied = Outcome { decision: DecisionLabel::Deny, code: Some(Code::MissingKey), ..outcome(401, 1) };
    metrics.worker(0).unwrap().record(&metrics.no_route(), &denied);
    let text = metrics.render().unwrap();
    for code in Code::ALL {
        let count = sample(&text, &format!(r#"scopegate_denials_total{{code="{}"}}"#, code.as_str()));
        assert_eq!(count, Some(f64::from(u8::from(*code == Code::MissingKey))));
    }
}

#[test]
fn connections_lookups_and_reloads_are_counted_by_their_label() {
    let metrics = Metrics::new(1);
    let worker = metrics.worker(0).unwrap();
    worker.connection_opened(Side::Downstream);
    worker.connection_opened(Side::Downstream);
    worker.connection_closed(Side::Downstream);
    worker.looked_up(Lookup::Miss);
    metrics.reloaded(Reload::Failed);
    metrics.set_generation(4);
    let text = metrics.render().unwrap();
    assert_eq!(sample(&text, r#"scopegate_connections{side="downstream"}"#), Some(1.0));
    assert_eq!(sample(&text, r#"scopegate_connections{side="upstream"}"#), Some(0.0));
    assert_eq!(sample(&text, r#"scopegate_key_cache_lookups_total{result="miss"}"#), Some(1.0));
    assert_eq!(sample(&text, r#"scopegate_key_cache_lookups_total{result="hit"}"#), Some(0.0));
    assert_eq!(sample(&text, r#"scopegate_reloads_total{result="failed"}"#), Some(1.0));
    assert_eq!(sample(&text, "scopegate_policy_generation"), Some(4.0));
}

#[test]
fn the_last_reload_has_failed_until_one_succeeds() {
    let metrics = Metrics::new(1);
    let successful = || sample(&metrics.render().unwrap(), "scopegate_last_reload_successful");
    assert_eq!(successful(), Some(1.0), "what the process started with was read");
    for (result, expected) in
        [(Reload::Failed, 0.0), (Reload::Failed, 0.0), (Reload::Applied, 1.0), (Reload::Unchanged, 1.0)]
    {
        metrics.reloaded(result);
        assert_eq!(successful(), Some(expected), "{result:?}");
    }
}

/// A file of deploy/.
fn shipped(name: &str) -> String {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy").join(name);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// What stands between backticks.
fn in_backticks(text: &str) -> BTreeSet<&str> {
    text.split('`').skip(1).step_by(2).collect()
}

/// The labels of a metric, each with the values that it has in `text`.
fn labels_of<'t>(text: &'t str, name: &str) -> BTreeMap<&'t str, BTreeSet<&'t str>> {
    let mut labels: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    let series = |line: &'t str| {
        let rest = line.strip_prefix(name)?;
        let rest = ["_bucket", "_sum", "_count"].iter().find_map(|part| rest.strip_prefix(part)).unwrap_or(rest);
        rest.strip_prefix('{')?.split_once('}')
    };
    for pair in text.lines().filter_map(series).flat_map(|(pairs, _)| pairs.split("\",")) {
        let (label, value) = pair.split_once("=\"").unwrap();
        labels.entry(label).or_default().insert(value.trim_end_matches('"'));
    }
    labels
}

/// The rows of the table of all metrics: name, type with its unit, labels, meaning.
fn rows(text: &str) -> Vec<[&str; 4]> {
    let table = text.split_once("## Every metric").unwrap().1.split_once("\n## ").unwrap().0;
    fn cells(row: &str) -> Vec<&str> {
        row.trim_matches('|').split('|').map(str::trim).collect()
    }
    table.lines().filter(|row| row.starts_with("| `")).map(|row| cells(row).try_into().unwrap()).collect()
}

#[test]
fn the_reference_has_every_metric_with_its_type_its_unit_and_its_labels() {
    let (reference, text) = (shipped("metrics.md"), with_everything().render().unwrap());
    let rows = rows(&reference);
    let names: Vec<String> = DEFINITIONS.iter().map(|definition| format!("`{}`", definition.name)).collect();
    assert_eq!(rows.iter().map(|row| row[0]).collect::<Vec<_>>(), names);
    for (definition, [_, kind, labels, meaning]) in DEFINITIONS.iter().zip(rows) {
        let name = definition.name;
        let (kind, unit) = kind.split_once(", ").unwrap_or_else(|| panic!("{name} has no unit"));
        assert_eq!(kind, format!("{:?}", definition.kind).to_lowercase(), "{name}");
        for known in ["seconds", "bytes"] {
            let is_named = name.trim_end_matches("_total").ends_with(known);
            assert_eq!(unit.starts_with(known), is_named, "{name} in {unit}");
        }
        assert!(!meaning.is_empty(), "{name}");
        let told = in_backticks(labels);
        let mut expected = BTreeSet::new();
        for (label, values) in labels_of(&text, name) {
            if label != "le" {
                expected.insert(label);
            }
            match label {
                "method" => expected.extend(MethodLabel::ALL.iter().map(|method| method.as_str())),
                "decision" => expected.extend(DecisionLabel::ALL.iter().map(|decision| decision.as_str())),
                // The codes are in README.md; the others are no closed lists.
                "code" | "le" | "route" | "server" | "status" | "version" => {}
                _ => expected.extend(values),
            }
        }
        assert_eq!(
            expected.difference(&told).collect::<Vec<_>>(),
            Vec::<&&str>::new(),
            "{name} has more than {labels}"
        );
        let strange: Vec<_> = told.difference(&expected).filter(|word| !word.contains([':', '.'])).collect();
        assert!(strange.is_empty(), "{name} has no {strange:?}");
    }
}

#[test]
fn what_is_shipped_for_prometheus_asks_for_metrics_that_there_are() {
    let known = |word: &str| {
        let word = ["_bucket", "_sum", "_count"].iter().find_map(|part| word.strip_suffix(part)).unwrap_or(word);
        DEFINITIONS.iter().any(|definition| definition.name == word)
    };
    for (file, least) in [("alerts.yaml", 10), ("metrics.md", DEFINITIONS.len())] {
        let text = shipped(file);
        let words = text.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_');
        let asked: BTreeSet<&str> =
            words.filter(|word| word.starts_with("scopegate_") || word.starts_with("process_")).collect();
        assert!(asked.len() >= least, "{file}: {asked:?}");
        assert_eq!(asked.into_iter().find(|word| !known(word)), None, "{file}");
    }
}

#[test]
fn there_is_no_cell_for_a_worker_that_is_not() {
    assert!(Metrics::new(2).worker(2).is_none());
}
