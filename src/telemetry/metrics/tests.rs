use std::time::Duration;

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
    metrics.set_expiry(CertificateLabel::Listener, Some(4_102_444_800));
    metrics.store_up_from(|| true);
    metrics.servers_from(|| vec![ServerUp { name: "10.0.0.1:80".to_owned(), is_up: true, is_well: true }]);
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
fn there_is_no_cell_for_a_worker_that_is_not() {
    assert!(Metrics::new(2).worker(2).is_none());
}
