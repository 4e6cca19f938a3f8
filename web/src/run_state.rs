//! A run of the lanes as a state machine: what happened leads to what is to be done.
//!
//! Nothing here waits, draws or computes: [`Runner`](crate::runner::Runner) does what the commands
//! say and tells what came of it.

use latent_model::{
    address::Speed,
    record::{StepRecord, flag},
};

use crate::{chunk_size::ChunkSize, lanes::LaneRun, notice::Notice};

/// The record of one step, with the page's own number of its lane.
pub type LaneRecord = (usize, StepRecord);

/// Tells runs apart: a reply to a command of an earlier run is dropped.
pub type RunNumber = u32;

/// Where a run stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RunStatus {
    /// Nothing has begun.
    #[default]
    Idle,
    /// Steps are being computed.
    Running,
    /// Begun, and waiting for a button.
    Paused,
    /// Every lane is at its end.
    Done,
}

/// What happened: a button, a change of the page, or what came of a command.
#[derive(Clone, Debug)]
pub enum Event {
    /// Begin, go on, or begin again.
    Run,
    /// One step of every lane, then pause.
    Step,
    /// No further command; what is under way still counts.
    Pause,
    /// Forget the run: a button, or a change of what defines it.
    Reset,
    /// Another speed was chosen.
    Speed(Speed),
    /// The pause of this number is over.
    Woken(u32),
    /// The engines have begun a run.
    Begun {
        /// Which.
        run: RunNumber,
        /// What is known of each lane before its first step.
        lanes: Vec<LaneRun>,
    },
    /// The engines have computed steps of a run.
    Advanced {
        /// Which.
        run: RunNumber,
        /// The new records.
        records: Vec<LaneRecord>,
        /// How long it took.
        took_ms: f64,
    },
    /// A command of a run failed.
    Failed {
        /// Which.
        run: RunNumber,
        /// What to tell of it.
        notice: Notice,
    },
}

/// What is to be done. [`Command::Begin`] and [`Command::Advance`] are the engines', take time, and
/// each is followed by one event; never are two of them under way. [`Command::Sleep`] takes time
/// too. The others are done at once.
#[derive(Clone, Debug)]
pub enum Command {
    /// Begin a run on the engines.
    Begin(RunNumber),
    /// Compute further steps.
    Advance {
        /// Of which run.
        run: RunNumber,
        /// At most so many of each lane.
        n_steps: usize,
    },
    /// Wait, at least until the browser has painted.
    Sleep {
        /// The number that [`Event::Woken`] gives back.
        nap: u32,
        /// How long, in milliseconds.
        duration_ms: f64,
    },
    /// Show nothing of any run.
    Clear,
    /// Take away what was told of a failure.
    ClearNotice,
    /// Show lanes that have begun.
    Prepare(Vec<LaneRun>),
    /// Show further records.
    Append {
        /// Of the run that is shown.
        records: Vec<LaneRecord>,
        /// Time that the engines took for them.
        took_secs: f64,
    },
    /// Every lane is at its end: offer the run as a whole.
    Finish,
    /// Tell of a failure.
    Show(Notice),
}

/// A run, or the lack of one.
#[derive(Clone, Debug)]
pub struct RunState {
    run: RunNumber,
    mode: Mode,
    /// Whether each lane of the run has come to its end; `None` before the run has begun.
    lanes_done: Option<Vec<bool>>,
    /// Whether the engines have a command whose reply has not come, of this run or an earlier one.
    is_engine_busy: bool,
    /// The pause that the run waits for.
    nap: Option<u32>,
    n_naps: u32,
    chunk: ChunkSize,
    speed: Speed,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    Idle,
    /// With the number of steps still to be asked for; `None` is until the end.
    Running(Option<usize>),
    Paused,
    Done,
}

impl RunStatus {
    /// The status in a word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Idle => "idle",
            Self::Running => "running",
            Self::Paused => "paused",
            Self::Done => "done",
        }
    }
}

impl RunState {
    /// Nothing has begun.
    pub fn new(speed: Speed) -> Self {
        Self {
            run: 0,
            mode: Mode::Idle,
            lanes_done: None,
            is_engine_busy: false,
            nap: None,
            n_naps: 0,
            chunk: ChunkSize::default(),
            speed,
        }
    }

    /// Where the run stands.
    pub fn status(&self) -> RunStatus {
        match self.mode {
            Mode::Idle => RunStatus::Idle,
            Mode::Running(_) => RunStatus::Running,
            Mode::Paused => RunStatus::Paused,
            Mode::Done => RunStatus::Done,
        }
    }

    /// Whether this run is the one that the page is at.
    pub fn is_current(&self, run: RunNumber) -> bool {
        self.run == run
    }

    /// What an event leads to.
    pub fn on(&mut self, event: Event) -> Vec<Command> {
        let mut commands = Vec::new();
        match event {
            Event::Run => self.start(None, &mut commands),
            // A run that is over has no step left; only Run begins it again.
            Event::Step if self.mode != Mode::Done => self.start(Some(1), &mut commands),
            Event::Step => {}
            Event::Pause => {
                if let Mode::Running(_) = self.mode {
                    self.mode = Mode::Paused;
                    self.nap = None;
                }
            }
            Event::Reset => {
                self.forget(Mode::Idle);
                commands.extend([Command::Clear, Command::ClearNotice]);
            }
            Event::Speed(speed) => {
                self.speed = speed;
                self.nap = None;
            }
            Event::Woken(nap) => {
                if self.nap == Some(nap) {
                    self.nap = None;
                }
            }
            Event::Begun { run, lanes } => {
                self.is_engine_busy = false;
                if self.is_current(run) {
                    self.lanes_done = Some(vec![false; lanes.len()]);
                    commands.push(Command::Prepare(lanes));
                }
            }
            Event::Advanced {
                run,
                records,
                took_ms,
            } => {
                self.is_engine_busy = false;
                if self.is_current(run) {
                    self.take(records, took_ms, &mut commands);
                }
            }
            Event::Failed { run, notice } => {
                self.is_engine_busy = false;
                if self.is_current(run) {
                    self.fail(notice, &mut commands);
                }
            }
        }
        self.go_on(&mut commands);
        commands
    }

    /// Run or Step: begins, or goes on.
    fn start(&mut self, n_steps: Option<usize>, commands: &mut Vec<Command>) {
        match self.mode {
            Mode::Running(_) => return,
            Mode::Paused => self.mode = Mode::Running(n_steps),
            Mode::Idle | Mode::Done => {
                self.forget(Mode::Running(n_steps));
                commands.push(Command::Clear);
            }
        }
        commands.push(Command::ClearNotice);
    }

    /// Makes every reply that is still to come one of an earlier run.
    fn forget(&mut self, mode: Mode) {
        self.run += 1;
        self.mode = mode;
        self.lanes_done = None;
        self.nap = None;
        self.chunk = ChunkSize::default();
    }

    fn fail(&mut self, notice: Notice, commands: &mut Vec<Command>) {
        // What was computed stays to be seen until something begins anew.
        self.forget(Mode::Idle);
        commands.push(Command::Show(notice));
    }

    /// Counts new records.
    fn take(&mut self, records: Vec<LaneRecord>, took_ms: f64, commands: &mut Vec<Command>) {
        let Some(lanes_done) = &mut self.lanes_done else {
            return;
        };
        for (lane, record) in &records {
            lanes_done[*lane] |= record.has(flag::DONE);
        }
        let is_over = lanes_done.iter().all(|is_done| *is_done);
        let is_empty = records.is_empty();
        let took_secs = took_ms / 1000.0;
        commands.push(Command::Append { records, took_secs });
        self.chunk = self.chunk.after(took_ms);
        if is_over {
            self.mode = Mode::Done;
            commands.push(Command::Finish);
        } else if is_empty {
            self.fail(Notice::stalled(), commands);
        } else if self.mode == Mode::Running(Some(0)) {
            self.mode = Mode::Paused;
        } else if self.mode == Mode::Running(None) {
            let pause_ms = match self.speed {
                Speed::PerSecond(rate) => 1000.0 / f64::from(rate),
                Speed::Max => 0.0,
            };
            self.n_naps += 1;
            self.nap = Some(self.n_naps);
            commands.push(Command::Sleep {
                nap: self.n_naps,
                duration_ms: (pause_ms - took_ms).max(0.0),
            });
        }
    }

    /// The next command for the engines, where they are free and the run wants one.
    fn go_on(&mut self, commands: &mut Vec<Command>) {
        let Mode::Running(n_steps) = self.mode else {
            return;
        };
        if self.is_engine_busy || self.nap.is_some() {
            return;
        }
        let run = self.run;
        if self.lanes_done.is_none() {
            commands.push(Command::Begin(run));
        } else {
            let n_steps = match (n_steps, self.speed) {
                (Some(n_steps), _) => n_steps,
                (None, Speed::PerSecond(_)) => 1,
                (None, Speed::Max) => self.chunk.steps(),
            };
            if let Mode::Running(Some(left)) = &mut self.mode {
                *left -= n_steps;
            }
            commands.push(Command::Advance { run, n_steps });
        }
        self.is_engine_busy = true;
    }
}

#[cfg(test)]
mod tests;
