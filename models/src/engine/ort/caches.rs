//! Self-attention caches that stay where they are.

/// Capacities a cache may have, in tokens. A cache starts with the first that holds its prefix and moves to the next
/// when full, so that short answers attend to few empty places and the engine sees few shapes.
const BUCKETS: [usize; 4] = [64, 256, 1024, 4096];

/// Added to the scores of places that hold nothing: large enough to give them no weight in f32, and finite so that
/// it makes no NaN.
pub(super) const MASKED: f32 = crate::graph::MASKED;

/// Keys and values of every layer, `[rows, heads, capacity, head_dim]` each, and the mask over their places.
///
/// All rows have the same length: they are fed together. Places past it hold zeros, or what rows of the same batch left
/// there: no batch reads what another one left, which may not be finite.
#[derive(Debug)]
pub(super) struct SelfCaches {
    /// Key and value of layer 0, of layer 1, …
    tensors: Vec<Vec<f32>>,
    mask: Vec<f32>,
    rows: usize,
    heads: usize,
    head_dim: usize,
    capacity: usize,
    length: usize,
}

impl SelfCaches {
    pub(super) fn new(layers: usize, heads: usize, head_dim: usize) -> Self {
        let tensors = vec![Vec::new(); 2 * layers];
        Self { tensors, mask: Vec::new(), rows: 0, heads, head_dim, capacity: 0, length: 0 }
    }

    /// Empties the caches and makes room for `rows` rows. Buffers are kept from the batch before.
    pub(super) fn reset(&mut self, rows: usize) {
        self.length = 0;
        self.rows = rows;
        self.capacity = BUCKETS[0];
        let size = rows * self.heads * self.capacity * self.head_dim;
        for tensor in &mut self.tensors {
            // Zeroed: a mask added to what is not a number hides nothing.
            tensor.clear();
            tensor.resize(size, 0.0);
        }
        self.fill_mask();
    }

    /// Gives the buffers back if they take more than `max_bytes` together. Nothing may follow but [`reset`](Self::reset).
    pub(super) fn give_back_above(&mut self, max_bytes: usize) {
        let values: usize = self.tensors.iter().map(Vec::capacity).sum();
        if values * size_of::<f32>() > max_bytes {
            self.tensors.iter_mut().for_each(|tensor| *tensor = Vec::new());
            self.rows = 0;
            self.length = 0;
        }
    }

    /// Tokens every row holds.
    pub(super) fn length(&self) -> usize {
        self.length
    }

    pub(super) fn capacity(&self) -> usize {
        self.capacity
    }

    /// The first `rows` rows of a tensor: key of layer l at 2l, value at 2l + 1.
    pub(super) fn tensor(&self, index: usize, rows: usize) -> &[f32] {
        let size = (rows * self.row_size()).min(self.tensors.get(index).map_or(0, Vec::len));
        self.tensors.get(index).map_or(&[], |tensor| &tensor[..size])
    }

    /// The mask of `rows` rows, `[rows, 1, 1, capacity]`.
    pub(super) fn mask(&self, rows: usize) -> &[f32] {
        &self.mask[..(rows * self.capacity).min(self.mask.len())]
    }

    fn row_size(&self) -> usize {
        self.heads * self.capacity * self.head_dim
    }

    /// Moves to a larger bucket if `tokens` more do not fit, with the first `rows` rows only: there will not be more.
    /// Returns whether they do fit now.
    pub(super) fn make_room(&mut self, tokens: usize, rows: usize) -> bool {
        let needed = self.length + tokens;
        if needed <= self.capacity {
            return true;
        }
        let Some(capacity) = BUCKETS.into_iter().find(|bucket| *bucket >= needed) else { return false };
        let (old, new) = (self.capacity * self.head_dim, capacity * self.head_dim);
        let filled = self.length * self.head_dim;
        self.rows = rows.min(self.rows);
        for tensor in &mut self.tensors {
            let mut larger = vec![0.0; self.rows * self.heads * new];
            for (to, from) in larger.chunks_exact_mut(new).zip(tensor.chunks_exact(old)) {
                to[..filled].copy_from_slice(&from[..filled]);
            }
            *tensor = larger;
        }
        self.capacity = capacity;
        self.fill_mask();
        true
    }

    /// Makes row i continue what row `parents[i]` held. Rows whose parent is themselves are not touched.
    pub(super) fn select(&mut self, parents: &[usize]) {
        let moves = moves(parents);
        if moves.is_empty() {
            return;
        }
        let (row, head) = (self.row_size(), self.capacity * self.head_dim);
        let filled = self.length * self.head_dim;
        let mut spare = vec![0.0; self.heads * filled];
        for tensor in &mut self.tensors {
            for step in &moves {
                for h in 0..self.heads {
                    let kept = h * filled..(h + 1) * filled;
                    match *step {
                        Move::Copy { from, to } => {
                            let from = from * row + h * head;
                            tensor.copy_within(from..from + filled, to * row + h * head);
                        }
                        Move::Save { from } => {
                            let from = from * row + h * head;
                            spare[kept].copy_from_slice(&tensor[from..from + filled]);
                        }
                        Move::Restore { to } => {
                            let to = to * row + h * head;
                            tensor[to..to + filled].copy_from_slice(&spare[kept]);
                        }
                    }
                }
            }
        }
    }

    /// Puts `[rows, heads, tokens, head_dim]` new entries of one tensor behind what the rows hold.
    /// [`advance`](Self::advance) follows once all tensors have theirs.
    pub(super) fn append(&mut self, index: usize, tokens: usize, new: &[f32]) {
        let (head, at) = (self.capacity * self.head_dim, self.length * self.head_dim);
        let Some(tensor) = self.tensors.get_mut(index) else { return };
        let size = tokens * self.head_dim;
        for (to, from) in tensor.chunks_exact_mut(head).zip(new.chunks_exact(size)) {
            to[at..at + size].copy_from_slice(from);
        }
    }

    /// Counts `tokens` appended tokens and lets attention see them.
    pub(super) fn advance(&mut self, tokens: usize) {
        for row in self.mask.chunks_exact_mut(self.capacity) {
            row[self.length..self.length + tokens].fill(0.0);
        }
        self.length += tokens;
    }

    fn fill_mask(&mut self) {
        self.mask.clear();
        self.mask.resize(self.rows * self.capacity, MASKED);
        let length = self.length;
        for row in self.mask.chunks_exact_mut(self.capacity) {
            row[..length].fill(0.0);
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Move {
    Copy { from: usize, to: usize },
    Save { from: usize },
    Restore { to: usize },
}

/// Orders the copies so that no row is overwritten before it is read; a cycle goes through one spare row.
fn moves(parents: &[usize]) -> Vec<Move> {
    let mut pending: Vec<(usize, usize)> =
        parents.iter().copied().enumerate().filter(|(to, from)| to != from).collect();
    let mut moves = Vec::with_capacity(pending.len() + 2);
    let mut saved: Option<usize> = None;
    while !pending.is_empty() {
        let free = pending
            .iter()
            .position(|(to, _)| pending.iter().all(|(_, from)| from != to || Some(*from) == saved));
        if let Some(free) = free {
            let (to, from) = pending.swap_remove(free);
            if Some(from) == saved {
                moves.push(Move::Restore { to });
                if pending.iter().all(|(_, other)| *other != from) {
                    saved = None;
                }
            } else {
                moves.push(Move::Copy { from, to });
            }
        } else {
            // Every target is still to be read: break one cycle by saving the row that its first copy overwrites.
            let (to, _) = pending[0];
            moves.push(Move::Save { from: to });
            saved = Some(to);
        }
    }
    moves
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(rows: usize, tokens: usize) -> SelfCaches {
        let mut caches = SelfCaches::new(2, 3, 4);
        caches.reset(rows);
        for index in 0..4 {
            let size = 3 * tokens * 4;
            let new: Vec<f32> = (0..rows * size).map(|i| (index * 1000 + i / size) as f32).collect();
            caches.append(index, tokens, &new);
        }
        caches.advance(tokens);
        caches
    }

    /// Which row's history each row holds, checked at every filled place of every tensor.
    fn histories(caches: &SelfCaches, rows: usize) -> Vec<usize> {
        (0..rows)
            .map(|row| {
                let mut seen = None;
                for index in 0..4 {
                    let tensor =
                        &caches.tensor(index, rows)[row * caches.row_size()..(row + 1) * caches.row_size()];
                    for head in tensor.chunks_exact(caches.capacity() * 4) {
                        for value in &head[..caches.length() * 4] {
                            let of = *value as usize - index * 1000;
                            assert_eq!(*seen.get_or_insert(of), of, "row {row} is mixed");
                        }
                    }
                }
                seen.expect("a filled row")
            })
            .collect()
    }

    #[test]
    fn rows_follow_their_parents_for_every_selection_of_four_rows() {
        for number in 0..4_usize.pow(4) {
            let parents: Vec<usize> = (0..4).map(|i| number / 4_usize.pow(i) % 4).collect();
            let mut caches = filled(4, 5);
            caches.select(&parents);
            assert_eq!(histories(&caches, 4), parents);
        }
    }

    #[test]
    fn two_cycles_at_once_use_one_spare_row_in_turn() {
        let parents = [1, 0, 3, 4, 2, 5];
        let mut caches = filled(6, 2);
        caches.select(&parents);
        assert_eq!(histories(&caches, 6), parents);
    }

    #[test]
    fn a_selection_of_everything_in_place_copies_nothing() {
        assert_eq!(moves(&[0, 1, 2]), []);
    }

    #[test]
    fn a_larger_bucket_keeps_what_was_there() {
        let mut caches = filled(3, 60);
        assert!(caches.make_room(4, 3));
        assert_eq!(caches.capacity(), 64);
        assert!(caches.make_room(5, 3));
        assert_eq!((caches.capacity(), caches.length()), (256, 60));
        assert_eq!(histories(&caches, 3), [0, 1, 2]);
    }

    #[test]
    fn a_length_beyond_the_last_bucket_is_refused() {
        assert!(!filled(1, 60).make_room(5000, 1));
    }

    #[test]
    fn a_larger_bucket_has_only_the_rows_that_are_left() {
        let mut caches = filled(6, 60);
        caches.select(&[4, 5]);
        assert!(caches.make_room(5, 2));
        assert_eq!(histories(&caches, 2), [4, 5]);
        assert!(caches.tensors.iter().all(|tensor| tensor.len() == 2 * caches.row_size()));
        assert_eq!(caches.mask(6).len(), 2 * 256);
    }

    #[test]
    fn what_is_not_a_number_is_gone_with_its_batch() {
        let mut caches = SelfCaches::new(2, 3, 4);
        caches.reset(2);
        (0..4).for_each(|index| caches.append(index, 1, &[f32::NAN; 2 * 3 * 4]));
        caches.advance(1);
        caches.reset(2);
        assert!((0..4).all(|index| caches.tensor(index, 2).iter().all(|value| *value == 0.0)));
    }

    #[test]
    fn buffers_above_the_bound_are_given_back_and_smaller_ones_kept() {
        let mut caches = filled(3, 5);
        let bytes = 4 * 3 * caches.row_size() * size_of::<f32>();
        caches.give_back_above(bytes);
        assert_ne!(caches.tensors[0].capacity(), 0);
        caches.give_back_above(bytes - 1);
        assert_eq!(caches.tensors[0].capacity(), 0);
        caches.reset(3);
        assert_eq!(caches.tensor(0, 3).len(), 3 * caches.row_size());
    }

    #[test]
    fn the_mask_opens_exactly_the_filled_places() {
        let mut caches = filled(2, 3);
        for row in caches.mask(2).chunks(64) {
            assert!(row[..3].iter().all(|m| *m == 0.0) && row[3..].iter().all(|m| *m == MASKED));
        }
        caches.reset(2);
        assert!(caches.mask(2).iter().all(|m| *m == MASKED));
    }
}
