/// Pipelines of this process that hang in a state change now.
pub fn abandoned_pipelines() -> usize {
    0
}
