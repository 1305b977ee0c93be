/// Who is next: of those who are ready, the one whose turn lies furthest back.
///
/// So long as somebody is ready, they are served after at most as many turns as there are others, however
/// often the others are ready.
#[derive(Debug, Default)]
pub(crate) struct LeastRecentlyServed {
    /// Positions of the members, the one served longest ago first.
    order: Vec<usize>,
}

impl LeastRecentlyServed {
    /// A new member, served before all others; members are numbered from 0.
    pub(crate) fn add(&mut self) {
        self.order.insert(0, self.order.len());
    }

    /// Serves the first for whom `serve` gives something.
    pub(crate) fn serve<T>(&mut self, mut serve: impl FnMut(usize) -> Option<T>) -> Option<T> {
        let (place, served) =
            self.order.iter().enumerate().find_map(|(place, member)| Some((place, serve(*member)?)))?;
        let member = self.order.remove(place);
        self.order.push(member);
        Some(served)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_who_is_ready_waits_longer_than_one_turn_of_each_other_member() {
        for seed in 0..300 {
            let mut rng = fastrand::Rng::with_seed(seed);
            let members = rng.usize(1..12);
            let mut turns = LeastRecentlyServed::default();
            (0..members).for_each(|_| turns.add());
            let eager: Vec<f64> = (0..members).map(|_| rng.f64()).collect();
            let mut ready = vec![false; members];
            let mut waited = vec![0; members];
            for _ in 0..500 {
                for (ready, eager) in ready.iter_mut().zip(&eager) {
                    *ready |= rng.f64() < *eager;
                }
                let served = turns.serve(|member| ready[member].then_some(member));
                assert_eq!(served.is_some(), ready.contains(&true));
                for member in 0..members {
                    waited[member] = if ready[member] { waited[member] + 1 } else { 0 };
                    assert!(waited[member] <= members, "member {member} of {members} starves");
                }
                if let Some(served) = served {
                    ready[served] = false;
                    waited[served] = 0;
                }
            }
        }
    }

    #[test]
    fn two_who_are_always_ready_take_turns() {
        let mut turns = LeastRecentlyServed::default();
        turns.add();
        turns.add();
        let served: Vec<_> = (0..6).filter_map(|_| turns.serve(Some)).collect();
        assert_eq!(served, [1, 0, 1, 0, 1, 0]);
    }
}
