//! The ready queue: which tasks may run now. A pure state machine over integers; it knows nothing of
//! hosts, time or what a task does.

use std::collections::BTreeSet;

/// State of one task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Waiting,
    Ready,
    Running,
    Done,
    Failed,
    /// Something it depends on failed.
    Blocked,
}

/// Hands out tasks whose dependencies have succeeded.
#[derive(Clone, Debug)]
pub struct Schedule {
    state: Vec<State>,
    /// Those in state `Ready`: looking through all of them at each step would cost their square.
    ready: BTreeSet<usize>,
    missing: Vec<usize>,
    dependents: Vec<Vec<usize>>,
}

impl Schedule {
    /// `dependencies[i]` lists what task `i` needs. The graph must have no cycle.
    pub fn new(dependencies: &[Vec<usize>]) -> Self {
        let mut dependents = vec![Vec::new(); dependencies.len()];
        for (task, needs) in dependencies.iter().enumerate() {
            for &need in needs {
                dependents[need].push(task);
            }
        }
        let missing: Vec<usize> = dependencies.iter().map(Vec::len).collect();
        let state = missing.iter().map(|&m| if m == 0 { State::Ready } else { State::Waiting }).collect();
        let ready = (0..missing.len()).filter(|&task| missing[task] == 0).collect();
        Schedule { state, ready, missing, dependents }
    }

    /// Takes every task that may run now, in index order, and marks them running.
    pub fn take_ready(&mut self) -> Vec<usize> {
        let ready = std::mem::take(&mut self.ready);
        ready.iter().for_each(|&task| self.state[task] = State::Running);
        ready.into_iter().collect()
    }

    /// The task succeeded: dependents that have all they need become ready.
    pub fn succeed(&mut self, task: usize) {
        self.state[task] = State::Done;
        for index in 0..self.dependents[task].len() {
            let dependent = self.dependents[task][index];
            self.missing[dependent] -= 1;
            if self.missing[dependent] == 0 && self.state[dependent] == State::Waiting {
                self.state[dependent] = State::Ready;
                self.ready.insert(dependent);
            }
        }
    }

    /// The task failed: everything behind it will never run. Returns those tasks, in index order.
    pub fn fail(&mut self, task: usize) -> Vec<usize> {
        self.state[task] = State::Failed;
        let mut blocked = Vec::new();
        let mut stack = self.dependents[task].clone();
        while let Some(next) = stack.pop() {
            if matches!(self.state[next], State::Waiting | State::Ready) {
                self.state[next] = State::Blocked;
                self.ready.remove(&next);
                blocked.push(next);
                stack.extend(&self.dependents[next]);
            }
        }
        blocked.sort_unstable();
        blocked
    }

    /// Tasks that were neither begun nor blocked by a failure.
    pub fn left(&self) -> usize {
        self.state.iter().filter(|s| matches!(s, State::Waiting | State::Ready)).count()
    }

    /// True when nothing is running or will become ready.
    pub fn finished(&self) -> bool {
        !self.state.iter().any(|s| matches!(s, State::Ready | State::Running))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dependents_start_on_success_only() {
        // 0 -> 1 -> 3, 2 -> 3
        let mut s = Schedule::new(&[vec![], vec![0], vec![], vec![1, 2]]);
        assert_eq!(s.take_ready(), [0, 2]);
        s.succeed(2);
        assert_eq!(s.take_ready(), [] as [usize; 0]);
        s.succeed(0);
        assert_eq!(s.take_ready(), [1]);
        assert_eq!(s.left(), 1);
        assert_eq!(s.fail(1), [3]);
        assert_eq!(s.left(), 0, "what is blocked is not merely left");
        assert!(s.finished());
    }

    #[test]
    fn a_diamond_runs_its_end_once() {
        let mut s = Schedule::new(&[vec![], vec![0], vec![0], vec![1, 2]]);
        for expected in [vec![0], vec![1, 2], vec![3]] {
            let ready = s.take_ready();
            assert_eq!(ready, expected);
            ready.into_iter().for_each(|t| s.succeed(t));
        }
        assert!(s.finished());
    }
}
