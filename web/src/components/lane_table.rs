//! What a drawing shows as a table, for those who do not see it: a column for each lane.

use leptos::prelude::*;

use crate::{lanes::Lane, page_signals::PageSignals, words::words};

/// A row: its head, then a cell for each further column, the lanes' last.
pub struct TableRow {
    /// What the row is of.
    pub head: String,
    /// The other cells.
    pub cells: Vec<String>,
}

/// Folded away, and computed only while it is open.
#[component]
pub fn LaneTable(
    testid: &'static str,
    /// What is told of it.
    label: &'static str,
    /// The heads of the columns before the lanes'.
    heads: Vec<&'static str>,
    rows: impl Fn() -> Vec<TableRow> + Copy + Send + Sync + 'static,
) -> impl IntoView {
    let lanes = expect_context::<PageSignals>().lanes;
    let is_open = RwSignal::new(false);
    let lane_heads = move || {
        let head = |lane: Lane| view! { <th scope="col">{lanes.name(lane).text()}</th> };
        lanes.get().into_iter().map(head).collect_view()
    };
    let row = |row: TableRow| {
        let cells = row.cells.into_iter().map(|cell| view! { <td>{cell}</td> });
        view! {
            <tr>
                <th scope="row">{row.head}</th>
                {cells.collect_view()}
            </tr>
        }
    };
    view! {
        <details class="as-table" on:toggle=move |_| is_open.update(|open| *open = !*open)>
            <summary>{words().as_table}</summary>
            <Show when=move || is_open.get()>
                <div class="scrolling" role="region" aria-label=label tabindex="0">
                    <table data-testid=testid>
                        <thead>
                            <tr>
                                {heads.iter().map(|head| view! { <th scope="col">{*head}</th> }).collect_view()}
                                {lane_heads}
                            </tr>
                        </thead>
                        <tbody>{move || rows().into_iter().map(row).collect_view()}</tbody>
                    </table>
                </div>
            </Show>
        </details>
    }
}
