//! Pauses between two tries: each twice as long as the one before it, up to a limit, and none quite like another, so
//! that many who wait for the same thing do not all ask at the same moment.

use std::time::Duration;

use rand::Rng;

/// The pauses of one who waits.
pub struct Pause {
    first: Duration,
    next: Duration,
    limit: Duration,
}

impl Pause {
    /// From `first` to `limit`.
    pub fn new(first: Duration, limit: Duration) -> Self {
        Pause { first, next: first, limit }
    }

    /// How long to wait this time: never longer than the limit.
    pub fn take(&mut self) -> Duration {
        let now = self.next.min(self.limit);
        self.next = (self.next * 2).min(self.limit);
        now.mul_f64(rand::rng().random_range(0.75..=1.0))
    }

    /// Something happened: from the shortest again.
    pub fn reset(&mut self) {
        self.next = self.first;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn longer_each_time_never_beyond_the_limit_never_the_same_for_all() {
        let limit = Duration::from_secs(5);
        let mut pause = Pause::new(Duration::from_millis(200), limit);
        let taken: Vec<Duration> = (0..12).map(|_| pause.take()).collect();
        let ms = Duration::from_millis;
        assert!(taken[0] >= ms(150) && taken[0] <= ms(200), "{taken:?}");
        assert!(taken[2] >= ms(600) && taken[2] <= ms(800), "{taken:?}");
        assert!(taken[6..].iter().all(|t| *t >= ms(3750) && *t <= limit), "{taken:?}");
        assert!(taken[6..].iter().any(|t| *t != taken[11]), "without jitter: {taken:?}");
        pause.reset();
        assert!(pause.take() <= ms(200));
    }
}
