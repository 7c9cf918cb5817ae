//! The three most viewed pages of each hour.
//!
//! Views are counted per page and window; then the counts of one window are gathered in a `ListState`, until a timer says that the
//! watermark has passed the window's end, so that all of them are there.

use brisk::prelude::*;
use std::cmp::Reverse;

const TOP: usize = 3;

#[derive(Clone, Debug, PartialEq, Record)]
struct PageViews {
    window_end: Timestamp,
    page: String,
    views: u64,
}

/// Keeps the counts of a window until they are complete, and gives the highest.
struct TopPages {
    pages: ListState<PageViews>,
}

impl KeyedProcessFunction for TopPages {
    type Key = Timestamp;
    type In = PageViews;
    type Out = PageViews;

    fn declare(state: &mut StateDeclarations) -> Self {
        Self { pages: state.list("pages") }
    }

    fn process_element(&mut self, views: PageViews, ctx: &mut Context<'_, Self>, _out: &mut Collector<PageViews>) -> Result<()> {
        // Set again for each page of the window, fires once.
        ctx.timers().register_event_time(views.window_end);
        self.pages.add(ctx, views)
    }

    fn on_timer(&mut self, _at: Timestamp, ctx: &mut TimerContext<'_, Self>, out: &mut Collector<PageViews>) -> Result<()> {
        let mut pages = self.pages.take(ctx)?;
        pages.sort_by(|a, b| (Reverse(a.views), &a.page).cmp(&(Reverse(b.views), &b.page)));
        pages.into_iter().take(TOP).for_each(|views| out.collect(views));
        Ok(())
    }
}

/// Six hours of views: in hour h, page p is viewed (p + h) % 7 + 1 times, spread over the hour.
fn views() -> Vec<(String, Timestamp)> {
    let times = |hour: i64, page: i64| (0..(page + hour) % 7 + 1).map(move |n| Timestamp(0) + hours(hour) + minutes(8 * n));
    let mut views: Vec<_> =
        (0..6).flat_map(|hour| (0..7).flat_map(move |page| times(hour, page).map(move |time| (format!("/page/{page}"), time)))).collect();
    views.sort_by_key(|(_, time)| *time);
    views
}

fn main() -> Result<()> {
    let env = StreamEnvironment::get()?;
    let top = env
        .from_collection(views())
        .assign_timestamps_and_watermarks(WatermarkStrategy::monotonous_timestamps().with_timestamp(|view: &(String, Timestamp)| view.1))
        .map(|(page, _)| (page, 1u64))
        .key_by_ref(|view| &view.0)
        .window(TumblingEventTimeWindows::of(hours(1)))
        .reduce_then(
            |a, b| (a.0, a.1 + b.1),
            |page: &String, window: &TimeWindow, (_, views), out: &mut Collector<PageViews>| {
                out.collect(PageViews { window_end: window.end(), page: page.clone(), views });
            },
        )
        .key_by(|views| views.window_end)
        .process::<TopPages>()
        .collect()?;
    for PageViews { window_end, page, views } in &top {
        println!("until {window_end}: {page} {views}");
    }
    // In hour h, the page with 7 views is (6 - h) % 7, and so on.
    let expected: Vec<PageViews> = (0..6)
        .flat_map(|hour| (0..TOP as i64).map(move |rank| (hour, rank)))
        .map(|(hour, rank)| PageViews {
            window_end: Timestamp(0) + hours(hour + 1),
            page: format!("/page/{}", (13 - hour - rank) % 7),
            views: (7 - rank) as u64,
        })
        .collect();
    assert_eq!(top, expected);
    Ok(())
}
