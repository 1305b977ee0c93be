//! The state of rows on the device, where steps read and write it.

use belvedere_kernels::device::{Device, Launch};
use belvedere_kernels::launch::{CacheElement, DecodeState, PastMask};

use super::memory_plan::Purpose;
use super::sequence::RowPlan;
use super::staging::Staging;
use super::workspace::{Workspace, failed};
use crate::ModelError;
use crate::graph::{Element, MASKED};

/// As the kernels call it.
pub(super) fn cache_element(element: Element) -> CacheElement {
    match element {
        Element::F16 => CacheElement::F16,
        Element::F32 => CacheElement::F32,
    }
}

/// The first `rows` rows.
pub(super) fn decode_state<D: Device>(
    workspace: &Workspace<D>,
    rows: usize,
) -> Result<DecodeState, ModelError> {
    let history_length = workspace.shape.history();
    let first = |purpose, each: usize| workspace.first(purpose, rows * each);
    Ok(DecodeState {
        rows,
        history_length,
        token: first(Purpose::Token, 8)?,
        position: first(Purpose::Position, 8)?,
        history: first(Purpose::History, 4 * history_length)?,
        forced: first(Purpose::Forced, 4 * history_length)?,
        limits: first(Purpose::Limits, 16)?,
        done: first(Purpose::Done, 4)?,
        step: workspace.first(Purpose::Step, 4)?,
    })
}

/// Rewrites the mask over the caches of all rows from their positions.
pub(super) fn mask_reset<D: Device>(
    workspace: &Workspace<D>,
    capacity: usize,
    rows: usize,
) -> Result<Launch, ModelError> {
    let shape = &workspace.shape;
    let memory = workspace.first(Purpose::PastMask { capacity }, rows * shape.mask_bytes(capacity))?;
    let position = workspace.first(Purpose::Position, 8 * rows)?;
    let mask = PastMask { memory, capacity };
    mask.reset(cache_element(shape.element), position, rows, MASKED).map_err(failed("past_mask"))
}

/// Sets a row to the beginning of a sequence, in the decoder's stream.
pub(super) fn begin<D: Device>(
    workspace: &Workspace<D>,
    staging: &mut Staging<D>,
    row: usize,
    plan: &RowPlan,
) -> Result<(), ModelError> {
    let history_bytes = 4 * workspace.shape.history();
    let first = i64::from(plan.prefix.first().copied().unwrap_or_default());
    let mut forced = vec![-1_i32; plan.max_length().max(plan.prefix.len())];
    for (place, token) in forced.iter_mut().zip(&plan.prefix) {
        *place = i32::try_from(*token).unwrap_or(-1);
    }
    let limits: Vec<u8> = plan.limits.entry().iter().flat_map(|number| number.to_ne_bytes()).collect();
    let forced: Vec<u8> = forced.iter().flat_map(|token| token.to_ne_bytes()).collect();
    let history = (first as i32).to_ne_bytes();
    staging.upload(
        &workspace.device,
        &workspace.decode,
        &[
            (workspace.row(Purpose::Token, row, 8)?, &first.to_ne_bytes()),
            (workspace.row(Purpose::Position, row, 8)?, &0_i64.to_ne_bytes()),
            (workspace.part(Purpose::History, row * history_bytes, history.len())?, &history),
            (workspace.part(Purpose::Forced, row * history_bytes, forced.len())?, &forced),
            (workspace.row(Purpose::Limits, row, 16)?, &limits),
            (workspace.row(Purpose::Done, row, 4)?, &0_i32.to_ne_bytes()),
        ],
    )
}

/// Sets a row to the end of `tokens`, the last of which is to be fed; limits and forced tokens stay.
pub(super) fn go_on<D: Device>(
    workspace: &Workspace<D>,
    staging: &mut Staging<D>,
    row: usize,
    tokens: &[u32],
) -> Result<(), ModelError> {
    let history_bytes = 4 * workspace.shape.history();
    let last = i64::from(tokens.last().copied().unwrap_or_default());
    let position = tokens.len().saturating_sub(1) as i64;
    let history: Vec<u8> = tokens.iter().flat_map(|token| token.to_ne_bytes()).collect();
    staging.upload(
        &workspace.device,
        &workspace.decode,
        &[
            (workspace.row(Purpose::Token, row, 8)?, &last.to_ne_bytes()),
            (workspace.row(Purpose::Position, row, 8)?, &position.to_ne_bytes()),
            (workspace.part(Purpose::History, row * history_bytes, history.len())?, &history),
            (workspace.row(Purpose::Done, row, 4)?, &0_i32.to_ne_bytes()),
        ],
    )
}

/// Room that the uploads of one row take, and their pieces.
pub(super) fn staging_room<D: Device>(workspace: &Workspace<D>) -> (usize, usize) {
    (4 * workspace.shape.history() + 64, 6)
}
