// What the phases of a lane say, by their place in the table `phases`, which the kernel binds. Fields are
// read where they are needed: some drivers would compile the copy of a whole phase as a load for each of
// its numbers.

// The place of a lane's phase; the last one's behind the last.
fn phase_place(lane: u32, index: u32) -> u32 {
    return lane * PHASE_ROWS + min(index, MAX_PHASES - 1u);
}

// The end classifier is asked in a phase that has fed something.
fn asks_classifier(phase: u32, phase_step: u32) -> bool {
    return phases[phase].asks_classifier != 0u && phase_step > 0u;
}

// The flag of what ends a phase before it feeds anything at this step; 0 where it goes on.
fn end_before_feeding(phase: u32, phase_step: u32, end_probability: f32) -> u32 {
    if (asks_classifier(phase, phase_step) && end_probability >= phases[phase].end_threshold) {
        return FLAG_END_CLASSIFIER;
    }
    return select(0u, FLAG_CAP, phase_step >= phases[phase].max_steps);
}
