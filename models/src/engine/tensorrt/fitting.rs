//! As many sequences at once as there is memory for.

use belvedere_kernels::device::Device;
use belvedere_kernels::launch::FrameRoom;

use super::memory_plan::{HEADROOM_BYTES, MemoryPlan};
use super::open::scratch_bytes;
use super::workspace::{failed, failure};
use super::{ModelShape, Networks, Profiles};
use crate::ModelError;

/// The profiles for as many sequences as there is memory for, and the plan for them.
pub(super) fn fitting<D: Device, N: Networks<D>>(
    device: &D,
    networks: &N,
    shape: &ModelShape,
    profiles: &Profiles,
    frames: &FrameRoom,
) -> Result<(Profiles, MemoryPlan), ModelError> {
    let doing = "planning memory";
    let memory = device.memory_info().map_err(failed(doing))?;
    let mib = |bytes: usize| bytes as f64 / (1 << 20) as f64;
    let mut smallest_plan = None;
    for rows in profiles.rows.iter().rev() {
        let fewer = profiles.up_to(*rows);
        let scratch = scratch_bytes(networks, &fewer)?;
        let plan = MemoryPlan::new(shape, &fewer, scratch).with_frames(frames);
        let pinned = if device.shares_memory() { plan.pinned_bytes() } else { 0 };
        if plan.total_bytes().saturating_add(pinned + HEADROOM_BYTES) <= memory.free {
            if let Some(too_large) = smallest_plan {
                tracing::warn!(
                    free_mib = mib(memory.free),
                    rows,
                    "too little device memory for more sequences at once: {too_large}"
                );
            }
            return Ok((fewer, plan));
        }
        smallest_plan = Some(plan);
    }
    let needed = smallest_plan.map(|plan| plan.to_string()).unwrap_or_default();
    let reason = format!(
        "{needed}, and {:.0} MiB beside it; {:.1} MiB of {:.1} MiB are free",
        mib(HEADROOM_BYTES),
        mib(memory.free),
        mib(memory.total)
    );
    Err(failure(doing, reason))
}
