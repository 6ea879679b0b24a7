//! `/metrics`: what is counted, as Prometheus reads it.

use std::sync::OnceLock;

use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};

use crate::cx::Cx;
use crate::respond;

use super::call::Call;
use super::failed::Outcome;

/// Has this process counted from now on. Only the first call does anything:
/// counters belong to a process, however many servers run in it.
pub fn install_metrics() -> &'static PrometheusHandle {
    static HANDLE: OnceLock<PrometheusHandle> = OnceLock::new();
    HANDLE.get_or_init(|| {
        let recorder = PrometheusBuilder::new().build_recorder();
        let handle = recorder.handle();
        // Where a recorder is installed already, that one goes on counting.
        drop(::metrics::set_global_recorder(recorder));
        handle
    })
}

pub(super) async fn get(_: Cx, _: Call) -> Outcome {
    let handle = install_metrics();
    handle.run_upkeep();
    Ok(respond::typed(
        "text/plain; version=0.0.4; charset=utf-8",
        handle.render(),
    ))
}
