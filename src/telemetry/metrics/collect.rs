//! The sum of all cells, in the shape the prometheus crate encodes.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};

use prometheus::proto::{Bucket, Counter, Gauge, Histogram, LabelPair, Metric, MetricFamily, MetricType};

use super::cells::{BOUNDS, Distribution, Labels, RouteCells};
use super::{DEFINITIONS, Definition, Family, Metrics, StoreFare, process};
use crate::telemetry::label::{CertificateLabel, Code, Cut, Lookup, Refusal, Reload, Side, StoreFault, StreamRefusal};

/// The samples of one metric while they are collected.
struct Samples {
    kind: MetricType,
    metrics: Vec<Metric>,
}

impl Samples {
    fn push(&mut self, labels: &[(&str, &str)], value: f64) {
        let mut metric = Metric::from_label(pairs(labels));
        if self.kind == MetricType::COUNTER {
            let mut counter = Counter::default();
            counter.set_value(value);
            metric.set_counter(counter);
        } else {
            let mut gauge = Gauge::default();
            gauge.set_value(value);
            metric.set_gauge(gauge);
        }
        self.metrics.push(metric);
    }

    fn push_distribution(&mut self, route: &str, distribution: &Distribution) {
        let mut cumulative = 0;
        let mut buckets = Vec::with_capacity(BOUNDS.len());
        for (bound, count) in BOUNDS.iter().zip(&distribution.buckets) {
            cumulative += count;
            let mut bucket = Bucket::default();
            bucket.set_upper_bound(seconds(*bound));
            bucket.set_cumulative_count(cumulative);
            buckets.push(bucket);
        }
        let mut histogram = Histogram::default();
        histogram.set_bucket(buckets);
        histogram.set_sample_count(distribution.buckets.iter().sum());
        histogram.set_sample_sum(seconds(distribution.sum));
        let mut metric = Metric::from_label(pairs(&[("route", route)]));
        metric.set_histogram(histogram);
        self.metrics.push(metric);
    }
}

fn pairs(labels: &[(&str, &str)]) -> Vec<LabelPair> {
    let pair = |(name, value): &(&str, &str)| {
        let mut pair = LabelPair::default();
        pair.set_name((*name).to_owned());
        pair.set_value((*value).to_owned());
        pair
    };
    labels.iter().map(pair).collect()
}

fn seconds(nanos: u64) -> f64 {
    nanos as f64 / 1e9
}

impl Metrics {
    /// One family for each definition that has a sample, in the order of the definitions.
    pub(super) fn collect(&self) -> Vec<MetricFamily> {
        let routes: Vec<Arc<RouteCells>> = {
            let routes = self.routes.read().unwrap_or_else(PoisonError::into_inner);
            routes.values().map(Arc::clone).collect()
        };
        DEFINITIONS.iter().filter_map(|definition| self.family(definition, &routes)).collect()
    }

    fn family(&self, definition: &Definition, routes: &[Arc<RouteCells>]) -> Option<MetricFamily> {
        let mut samples = Samples { kind: definition.kind, metrics: Vec::new() };
        self.sample(definition.family, routes, &mut samples);
        if samples.metrics.is_empty() {
            return None;
        }
        let mut family = MetricFamily::default();
        family.set_name(definition.name.to_owned());
        family.set_help(definition.help.to_owned());
        family.set_field_type(definition.kind);
        family.set_metric(samples.metrics);
        Some(family)
    }

    fn sample(&self, family: Family, routes: &[Arc<RouteCells>], samples: &mut Samples) {
        match family {
            Family::AccessLogDropped => {
                samples.push(&[], self.access_log_dropped.load(Ordering::Relaxed) as f64);
            }
            Family::BuildInfo => samples.push(&[("version", env!("CARGO_PKG_VERSION"))], 1.0),
            Family::CertificateExpiry => self.sample_expiries(samples),
            Family::Connections => self.sample_connections(samples),
            Family::Cuts => self.sample_cuts(samples),
            Family::Denials => self.sample_denials(samples),
            Family::KeyLookups => self.sample_lookups(samples),
            Family::KeysCached => self.keys.get().into_iter().for_each(|keys| samples.push(&[], (keys.0)() as f64)),
            Family::KeysRotateDue => {
                if let Some(due) = self.rotate_due() {
                    samples.push(&[("kind", "pair")], due.pair as f64);
                    samples.push(&[("kind", "secret")], due.secret as f64);
                }
            }
            Family::LastReload => {
                samples.push(&[], f64::from(u8::from(!self.is_reload_refused())));
            }
            Family::PolicyGeneration => samples.push(&[], self.generation.load(Ordering::Relaxed) as f64),
            Family::Process(reading) => {
                process::read(reading).into_iter().for_each(|value| samples.push(&[], value));
            }
            Family::Refusals => self.sample_refusals(samples),
            Family::RefusedStreams => self.sample_refused_streams(samples),
            Family::Reloads => {
                for (result, cell) in Reload::ALL.iter().zip(&self.reloads) {
                    samples.push(&[("result", result.as_str())], cell.load(Ordering::Relaxed) as f64);
                }
            }
            Family::RequestDuration => sample_durations(routes, samples, |cells| cells.read_durations().0),
            Family::Requests => sample_requests(routes, samples),
            Family::KeysSnapshot => self.sample_store(samples, |store| store.snapshot.map(|seconds| seconds as f64)),
            Family::StoreAway => self.sample_store(samples, |store| Some(store.away.as_secs_f64())),
            Family::StoreFault => {
                let fault = self.store.get().map(|store| (store.0)().fault);
                for (fault, class) in
                    fault.into_iter().flat_map(|fault| StoreFault::ALL.iter().map(move |one| (fault, *one)))
                {
                    samples.push(&[("class", class.as_str())], f64::from(u8::from(fault == Some(class))));
                }
            }
            Family::StoreMaxStale => {
                self.sample_store(samples, |store| store.max_stale.map(|most| most.as_secs_f64()));
            }
            Family::StoreUp => self.sample_store(samples, |store| Some(f64::from(u8::from(store.is_up)))),
            Family::TripwireUses => samples.push(&[], self.tripwires.uses() as f64),
            Family::UpstreamDuration => sample_durations(routes, samples, |cells| cells.read_durations().1),
            Family::UpstreamPanic => {
                let servers = self.servers.get().map(|servers| (servers.0)()).unwrap_or_default();
                if servers.len() > 1 {
                    let panics = servers.iter().any(|server| server.is_up && !server.is_well);
                    samples.push(&[], f64::from(u8::from(panics)));
                }
            }
            Family::UpstreamRetries => {
                let retries: u64 = self.workers.iter().map(|worker| worker.read_retries()).sum();
                samples.push(&[], retries as f64);
            }
            Family::UpstreamUp => {
                for server in self.servers.get().into_iter().flat_map(|servers| (servers.0)()) {
                    samples.push(&[("server", &server.name)], f64::from(u8::from(server.is_up)));
                }
            }
            Family::UseLost => self.uses.get().into_iter().for_each(|uses| samples.push(&[], (uses.0)().lost as f64)),
            Family::UseWrites => {
                if let Some(writes) = self.uses.get().map(|uses| (uses.0)()) {
                    samples.push(&[("result", "failed")], writes.failed as f64);
                    samples.push(&[("result", "written")], writes.written as f64);
                }
            }
        }
    }

    fn sample_connections(&self, samples: &mut Samples) {
        for side in Side::ALL {
            let open: u64 = self.workers.iter().map(|worker| worker.read_connections(*side)).sum();
            samples.push(&[("side", side.as_str())], open as f64);
        }
    }

    fn sample_store(&self, samples: &mut Samples, read: impl Fn(&StoreFare) -> Option<f64>) {
        let value = self.store.get().and_then(|store| read(&(store.0)()));
        value.into_iter().for_each(|value| samples.push(&[], value));
    }

    fn sample_expiries(&self, samples: &mut Samples) {
        for (certificate, cell) in CertificateLabel::ALL.iter().zip(&self.expiries) {
            let seconds = cell.load(Ordering::Relaxed);
            if seconds != i64::MAX {
                samples.push(&[("certificate", certificate.as_str())], seconds as f64);
            }
        }
    }

    fn sample_cuts(&self, samples: &mut Samples) {
        for reason in Cut::ALL {
            let count: u64 = self.workers.iter().map(|worker| worker.read_cuts(*reason)).sum();
            samples.push(&[("reason", reason.as_str())], count as f64);
        }
    }

    fn sample_refusals(&self, samples: &mut Samples) {
        for reason in Refusal::ALL {
            let count: u64 = self.workers.iter().map(|worker| worker.read_refusals(*reason)).sum();
            samples.push(&[("reason", reason.as_str())], count as f64);
        }
    }

    fn sample_refused_streams(&self, samples: &mut Samples) {
        for reason in StreamRefusal::ALL {
            let count: u64 = self.workers.iter().map(|worker| worker.read_refused_streams(*reason)).sum();
            samples.push(&[("reason", reason.as_str())], count as f64);
        }
    }

    fn sample_denials(&self, samples: &mut Samples) {
        for code in Code::ALL {
            let count: u64 = self.workers.iter().map(|worker| worker.read_code(*code)).sum();
            samples.push(&[("code", code.as_str())], count as f64);
        }
    }

    fn sample_lookups(&self, samples: &mut Samples) {
        for result in Lookup::ALL {
            let count: u64 = self.workers.iter().map(|worker| worker.read_lookups(*result)).sum();
            samples.push(&[("result", result.as_str())], count as f64);
        }
    }
}

fn sample_requests(routes: &[Arc<RouteCells>], samples: &mut Samples) {
    for cells in routes {
        let mut counts: BTreeMap<Labels, u64> = BTreeMap::new();
        cells.read_requests(&mut |labels, count| *counts.entry(labels).or_default() += count);
        for (labels, count) in counts {
            let Some((method, status, decision)) = labels.unpack() else {
                continue;
            };
            let labels = [("route", cells.label()), ("method", method), ("status", &*status), ("decision", decision)];
            samples.push(&labels, count as f64);
        }
    }
}

fn sample_durations(routes: &[Arc<RouteCells>], samples: &mut Samples, read: impl Fn(&RouteCells) -> Distribution) {
    for cells in routes {
        let distribution = read(cells);
        if !distribution.is_empty() {
            samples.push_distribution(cells.label(), &distribution);
        }
    }
}
