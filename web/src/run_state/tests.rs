//! The run under random presses, replies and failures, and under the ones that once went wrong.

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
    /// How often the page was cleared: what the lanes and the problem were then is another
    /// run's, whatever number the state machine gives it.
    n_clears: u32,
    /// The same, when the command under way was given.
    asked_at: u32,
    /// The same of the run that the engines have begun, with its number, and how many steps of
    /// each lane they have made.
    engine: (u32, RunNumber, Vec<u32>),
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
            n_clears: 0,
            asked_at: 0,
            engine: (0, 0, vec![0; lengths.len()]),
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
                self.asked_at = self.n_clears;
                match command {
                    Command::Advance { run, n_steps } => {
                        assert_eq!(run, self.engine.1, "the engines have begun another run");
                        assert_eq!(self.n_clears, self.engine.0, "it is forgotten");
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
                self.n_clears += 1;
                self.shown.clear();
                self.is_finished = false;
            }
            Command::ClearNotice => self.notice = None,
            Command::Prepare(lanes) => {
                assert_eq!(self.engine.0, self.n_clears, "lanes of another run");
                self.shown = vec![0; lanes.len()];
            }
            Command::Append { records, .. } => {
                for (lane, record) in records {
                    assert_eq!(record.position, self.n_clears, "of another run");
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

    /// The engines' reply to their command; records tell of which run they are in `position`.
    fn reply(&mut self, took_ms: f64) {
        match self.under_way.take() {
            Some(Command::Begin(run)) => {
                self.engine = (self.asked_at, run, vec![0; self.lengths.len()]);
                let lanes = vec![LaneRun::default(); self.lengths.len()];
                self.on(Event::Begun { run, lanes });
            }
            Some(Command::Advance { run, n_steps }) => {
                let mut records = Vec::new();
                for (lane, step) in self.engine.2.iter_mut().enumerate() {
                    let length = self.lengths[lane];
                    for _ in 0..n_steps.min((length - *step) as usize) {
                        let mut record: StepRecord = bytemuck::Zeroable::zeroed();
                        (record.position, record.step) = (self.engine.0, *step);
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
        if let Some(Command::Begin(run) | Command::Advance { run, .. }) = self.under_way.take() {
            let notice = Notice::new("lost", &"the device was lost");
            let was_current = self.asked_at == self.n_clears;
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
    let run = world.engine.1;
    world.on(Event::Advanced {
        run,
        records: Vec::new(),
        took_ms: 1.0,
    });
    assert_eq!(world.notice, Some(Notice::stalled()));
    assert_eq!(world.state.status(), RunStatus::Idle);
}
