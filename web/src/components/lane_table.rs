//! What a drawing shows as a table, for those who do not see it.

use leptos::prelude::*;

use crate::{lanes::Lane, page_signals::PageSignals, words::words};

/// A row: its head, then a cell for each further column.
pub struct TableRow {
    /// What the row is of.
    pub head: String,
    /// The other cells.
    pub cells: Vec<String>,
}

/// Folded away, and computed only while it is open.
#[component]
pub fn FoldedTable(
    testid: &'static str,
    /// What is told of it.
    label: &'static str,
    /// The heads of all columns.
    heads: impl Fn() -> Vec<String> + Copy + Send + Sync + 'static,
    rows: impl Fn() -> Vec<TableRow> + Copy + Send + Sync + 'static,
) -> impl IntoView {
    let is_open = RwSignal::new(false);
    // What the table is of may be a landmark of the same name.
    let region = format!("{label}: {}", words().as_table);
    let head = |head: String| view! { <th scope="col">{head}</th> };
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
                <div class="scrolling" role="region" aria-label=region.clone() tabindex="0">
                    <table data-testid=testid>
                        <thead>
                            <tr>{move || heads().into_iter().map(head).collect_view()}</tr>
                        </thead>
                        <tbody>{move || rows().into_iter().map(row).collect_view()}</tbody>
                    </table>
                </div>
            </Show>
        </details>
    }
}

/// [`FoldedTable`] whose last columns are the lanes.
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
    let before = StoredValue::new(heads);
    let heads = move || {
        let of_lanes = lanes.get().into_iter();
        let of_lanes = of_lanes.map(|lane: Lane| lanes.name(lane).text());
        let before = before.get_value().into_iter().map(String::from);
        before.chain(of_lanes).collect()
    };
    view! { <FoldedTable testid label heads rows/> }
}
