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
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What is done with the commands, without engines and without a page: it checks each of them,
    /// and answers when it is told to.
    #[derive(Debug)]
    struct World {
        state: RunState,
        /// How many steps each lane of a run has.
        lengths: Vec<u32>,
        /// The engines' command whose reply is still to come.
        under_way: Option<Command>,
        naps: Vec<u32>,
        /// The run that the engines have begun, and how many steps of each lane they have made.
        engine: (RunNumber, Vec<u32>),
        /// How many records of each lane the page shows.
        shown: Vec<u32>,
        is_finished: bool,
        notice: Option<Notice>,
        /// Steps asked for since Run or Step was last pressed.
        n_asked: usize,
    }

    impl World {
        fn new(lengths: Vec<u32>) -> Self {
            Self {
                state: RunState::new(Speed::PerSecond(4)),
                engine: (0, vec![0; lengths.len()]),
                lengths,
                under_way: None,
                naps: Vec::new(),
                shown: Vec::new(),
                is_finished: false,
                notice: None,
                n_asked: 0,
            }
        }

        fn on(&mut self, event: Event) {
            for command in self.state.on(event) {
                self.obey(command);
            }
            let status = self.state.status();
            assert_eq!(status == RunStatus::Done, self.is_finished);
            let is_waiting = self.under_way.is_some() || !self.naps.is_empty();
            assert!(
                status != RunStatus::Running || is_waiting,
                "nothing wakes it"
            );
        }

        fn obey(&mut self, command: Command) {
            match command {
                Command::Begin(_) | Command::Advance { .. } => {
                    let busy = self.under_way.replace(command.clone());
                    assert!(busy.is_none(), "{command:?} while {busy:?} is under way");
                    assert!(self.notice.is_none(), "an error outlives its cause");
                    match command {
                        Command::Advance { run, n_steps } => {
                            assert_eq!(run, self.engine.0, "the engines have begun another run");
                            assert!(self.state.is_current(run));
                            assert!(n_steps > 0);
                            self.n_asked += n_steps;
                        }
                        _ => assert!(self.shown.is_empty(), "another run is still shown"),
                    }
                }
                Command::Sleep { nap, duration_ms } => {
                    assert!((0.0..=1000.0).contains(&duration_ms));
                    self.naps.push(nap);
                }
                Command::Clear => {
                    self.shown.clear();
                    self.is_finished = false;
                }
                Command::ClearNotice => self.notice = None,
                Command::Prepare(lanes) => self.shown = vec![0; lanes.len()],
                Command::Append { records, .. } => {
                    for (lane, record) in records {
                        assert!(self.state.is_current(record.position), "of another run");
                        assert_eq!(record.step, self.shown[lane], "a count goes back or jumps");
                        self.shown[lane] += 1;
                    }
                }
                Command::Finish => {
                    assert!(!self.is_finished, "finished twice");
                    assert_eq!(self.shown, self.lengths);
                    self.is_finished = true;
                }
                Command::Show(notice) => self.notice = Some(notice),
            }
        }

        /// The engines' reply to their command; records tell their run in `position`.
        fn reply(&mut self, took_ms: f64) {
            match self.under_way.take() {
                Some(Command::Begin(run)) => {
                    self.engine = (run, vec![0; self.lengths.len()]);
                    let lanes = vec![LaneRun::default(); self.lengths.len()];
                    self.on(Event::Begun { run, lanes });
                }
                Some(Command::Advance { run, n_steps }) => {
                    let mut records = Vec::new();
                    for (lane, step) in self.engine.1.iter_mut().enumerate() {
                        let length = self.lengths[lane];
                        for _ in 0..n_steps.min((length - *step) as usize) {
                            let mut record: StepRecord = bytemuck::Zeroable::zeroed();
                            (record.position, record.step) = (run, *step);
                            *step += 1;
                            record.flags = if *step == length { flag::DONE } else { 0 };
                            records.push((lane, record));
                        }
                    }
                    self.on(Event::Advanced {
                        run,
                        records,
                        took_ms,
                    });
                }
                _ => {}
            }
        }

        fn fail(&mut self) {
            if let Some(Command::Begin(run) | Command::Advance { run, .. }) = self.under_way.take()
            {
                let notice = Notice::new("lost", &"the device was lost");
                let was_current = self.state.is_current(run);
                self.on(Event::Failed { run, notice });
                assert!(
                    was_current || self.notice.is_none(),
                    "of a run that is forgotten"
                );
            }
        }

        fn wake(&mut self, index: usize) {
            if !self.naps.is_empty() {
                let nap = self.naps.remove(index % self.naps.len());
                self.on(Event::Woken(nap));
            }
        }

        /// Lets everything answer until nothing is to be waited for.
        fn settle(&mut self) {
            for _ in 0..10_000 {
                if self.under_way.is_none() && self.naps.is_empty() {
                    return;
                }
                self.reply(1.0);
                self.wake(0);
            }
            panic!("it never comes to rest");
        }
    }

    #[derive(Clone, Debug)]
    enum Act {
        Press(Event),
        Reply(f64),
        Fail,
        Wake(usize),
    }

    fn any_act() -> impl Strategy<Value = Act> {
        let buttons = vec![
            Event::Run,
            Event::Run,
            Event::Step,
            Event::Pause,
            Event::Reset,
        ];
        let speed = prop_oneof![Just(Speed::Max), (1..20_u32).prop_map(Speed::PerSecond)];
        prop_oneof![
            3 => prop::sample::select(buttons).prop_map(Act::Press),
            1 => speed.prop_map(|speed| Act::Press(Event::Speed(speed))),
            6 => (0.0..40.0_f64).prop_map(Act::Reply),
            1 => Just(Act::Fail),
            3 => any::<usize>().prop_map(Act::Wake),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(512))]
        #[test]
        fn whatever_is_pressed_and_whenever_replies_come(
            lengths in prop::collection::vec(1..40_u32, 1..6),
            acts in prop::collection::vec(any_act(), 0..120),
        ) {
            let mut world = World::new(lengths);
            for act in acts {
                match act {
                    Act::Press(event) => world.on(event),
                    Act::Reply(took_ms) => world.reply(took_ms),
                    Act::Fail => world.fail(),
                    Act::Wake(index) => world.wake(index),
                }
            }
            world.settle();
            prop_assert!(world.state.status() != RunStatus::Running);
            // From wherever it came to rest, Run leads to the end.
            if world.state.status() != RunStatus::Done {
                world.on(Event::Run);
                world.settle();
            }
            prop_assert_eq!(world.state.status(), RunStatus::Done);
            prop_assert!(world.is_finished && world.notice.is_none());
        }
    }

    fn begun() -> World {
        let mut world = World::new(vec![3, 5]);
        world.on(Event::Step);
        world.settle();
        world
    }

    #[test]
    fn a_step_is_one_step_of_every_lane() {
        let mut world = begun();
        assert_eq!(world.state.status(), RunStatus::Paused);
        assert_eq!(world.shown, [1, 1]);
        world.on(Event::Step);
        world.on(Event::Step);
        world.settle();
        assert_eq!(world.shown, [2, 2]);
    }

    #[test]
    fn a_step_follows_the_chunk_that_a_pause_came_too_late_for() {
        let mut world = begun();
        world.on(Event::Run);
        world.on(Event::Pause);
        world.on(Event::Step);
        world.settle();
        assert_eq!(world.state.status(), RunStatus::Paused);
        assert_eq!(world.n_asked, 3);
    }

    #[test]
    fn a_step_after_the_end_leaves_the_run_alone() {
        let mut world = begun();
        world.on(Event::Run);
        world.settle();
        assert_eq!(world.state.status(), RunStatus::Done);
        world.on(Event::Step);
        world.settle();
        assert_eq!(world.state.status(), RunStatus::Done);
        assert_eq!(world.shown, [3, 5]);
        world.on(Event::Run);
        assert!(world.shown.is_empty(), "Run begins again");
    }

    #[test]
    fn a_reset_while_a_command_is_under_way_lets_the_next_run_wait_for_it() {
        let mut world = begun();
        world.on(Event::Run);
        assert!(matches!(world.under_way, Some(Command::Advance { .. })));
        world.on(Event::Reset);
        world.on(Event::Run);
        assert!(
            matches!(world.under_way, Some(Command::Advance { .. })),
            "one at a time"
        );
        world.reply(1.0);
        assert!(matches!(world.under_way, Some(Command::Begin(_))));
        assert!(
            world.shown.is_empty(),
            "records of the run before are dropped"
        );
    }

    #[test]
    fn a_pause_takes_effect_however_slow_the_speed_is() {
        let mut world = begun();
        world.on(Event::Speed(Speed::PerSecond(1)));
        world.on(Event::Run);
        world.reply(1.0);
        world.on(Event::Pause);
        let shown = world.shown.clone();
        world.on(Event::Step);
        // The nap of the run before is not waited for.
        world.reply(1.0);
        assert_eq!(world.shown[0], shown[0] + 1);
    }

    #[test]
    fn a_failure_is_told_until_something_is_begun_or_forgotten() {
        for event in [Event::Run, Event::Step, Event::Reset] {
            let mut world = begun();
            world.on(Event::Run);
            world.fail();
            assert_eq!(world.state.status(), RunStatus::Idle);
            assert!(world.notice.is_some());
            assert_eq!(world.shown, [1, 1], "what was computed stays to be seen");
            world.on(event);
            assert!(world.notice.is_none());
        }
    }

    #[test]
    fn engines_that_stop_early_are_told_of() {
        let mut world = begun();
        world.on(Event::Run);
        world.under_way = None;
        let run = world.engine.0;
        world.on(Event::Advanced {
            run,
            records: Vec::new(),
            took_ms: 1.0,
        });
        assert_eq!(world.notice, Some(Notice::stalled()));
        assert_eq!(world.state.status(), RunStatus::Idle);
    }
}
