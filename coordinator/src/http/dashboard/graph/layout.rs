//! Where the boxes and lines of a graph go: in columns from left to right, so that every line leads to
//! the right, with few crossings. As Sugiyama, Tagawa and Toda (1981) have it: columns by the longest way,
//! places within them by the mean of their neighbours', and lines that pass a column given a place in it.

use std::collections::VecDeque;

pub const BOX_WIDTH: f64 = 212.0;
pub const BOX_HEIGHT: f64 = 46.0;
const COLUMN_GAP: f64 = 56.0;
const ROW_GAP: f64 = 14.0;
/// Of a line that passes a column.
const LINE_HEIGHT: f64 = 10.0;
const MARGIN: f64 = 12.0;
/// Between parts that have nothing to do with one another.
const PART_GAP: f64 = 30.0;
/// Each makes some crossings fewer; more than these hardly any.
const SWEEPS: usize = 12;

#[derive(Debug, Default, PartialEq)]
pub struct Layout {
    pub width: f64,
    pub height: f64,
    /// The upper left corner of each box.
    pub boxes: Vec<(f64, f64)>,
    /// The points that each line goes through, from box to box.
    pub lines: Vec<Vec<(f64, f64)>>,
}

/// Lays out so many boxes and the lines between them. Lines that would lead in a circle are drawn backwards.
pub fn lay_out(count: usize, lines: &[(usize, usize)]) -> Layout {
    let mut layout = Layout {
        boxes: vec![(MARGIN, MARGIN); count],
        lines: vec![Vec::new(); lines.len()],
        ..Layout::default()
    };
    let mut top = MARGIN;
    for part in parts(count, lines) {
        let within: Vec<usize> = (0..lines.len()).filter(|line| part.contains(&lines[*line].0)).collect();
        let mut columns = Columns::new(&part, lines, &within);
        columns.order();
        top = columns.place(top, &mut layout) + PART_GAP;
    }
    let right = layout.boxes.iter().map(|at| at.0).fold(0.0, f64::max);
    layout.width = right + BOX_WIDTH + MARGIN;
    layout.height = (top - PART_GAP + MARGIN).max(0.0);
    for (points, (from, to)) in layout.lines.iter_mut().zip(lines) {
        let (start, end) = (layout.boxes[*from], layout.boxes[*to]);
        let forwards = start.0 < end.0;
        if !forwards {
            points.reverse();
        }
        let side = |at: (f64, f64), right: bool| {
            (if right { at.0 + BOX_WIDTH } else { at.0 }, at.1 + BOX_HEIGHT / 2.0)
        };
        points.insert(0, side(start, forwards));
        points.push(side(end, !forwards));
    }
    layout
}

/// Boxes that hang together, the first ones' first.
fn parts(count: usize, lines: &[(usize, usize)]) -> Vec<Vec<usize>> {
    let mut neighbours = vec![Vec::new(); count];
    for (from, to) in lines {
        neighbours[*from].push(*to);
        neighbours[*to].push(*from);
    }
    let mut seen = vec![false; count];
    let mut parts = Vec::new();
    for first in 0..count {
        if seen[first] {
            continue;
        }
        let (mut part, mut next) = (Vec::new(), VecDeque::from([first]));
        seen[first] = true;
        while let Some(one) = next.pop_front() {
            part.push(one);
            for neighbour in &neighbours[one] {
                if !std::mem::replace(&mut seen[*neighbour], true) {
                    next.push_back(*neighbour);
                }
            }
        }
        parts.push(part);
    }
    parts
}

/// What stands in a column: a box, or a line on its way.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Thing {
    Box(usize),
    Line(usize),
}

/// One part, in columns.
struct Columns {
    things: Vec<Thing>,
    /// For each thing, those it is joined to in the column before, and in the next.
    before: Vec<Vec<usize>>,
    after: Vec<Vec<usize>>,
    columns: Vec<Vec<usize>>,
}

impl Columns {
    fn new(part: &[usize], lines: &[(usize, usize)], within: &[usize]) -> Self {
        let place = |one: usize| part.iter().position(|it| *it == one).expect("a box of this part");
        let joined: Vec<(usize, usize)> =
            within.iter().map(|line| (place(lines[*line].0), place(lines[*line].1))).collect();
        let joined = without_circles(part.len(), joined);
        let column = columns_of(part.len(), &joined);
        let mut it = Self {
            things: part.iter().map(|one| Thing::Box(*one)).collect(),
            before: vec![Vec::new(); part.len()],
            after: vec![Vec::new(); part.len()],
            columns: vec![Vec::new(); column.iter().max().map_or(0, |last| last + 1)],
        };
        for (one, column) in column.iter().enumerate() {
            it.columns[*column].push(one);
        }
        for (line, (from, to)) in within.iter().zip(joined) {
            let mut last = from;
            for between in column[from] + 1..column[to] {
                let passing = it.things.len();
                it.things.push(Thing::Line(*line));
                it.before.push(Vec::new());
                it.after.push(Vec::new());
                it.columns[between].push(passing);
                it.join(last, passing);
                last = passing;
            }
            it.join(last, to);
        }
        it
    }

    fn join(&mut self, from: usize, to: usize) {
        self.after[from].push(to);
        self.before[to].push(from);
    }

    /// Puts what is in each column near what it is joined to, to the right and back again.
    fn order(&mut self) {
        let mut place = vec![0.0; self.things.len()];
        self.note_places(&mut place);
        for sweep in 0..SWEEPS {
            let to_the_right = sweep % 2 == 0;
            let neighbours = if to_the_right { &self.before } else { &self.after };
            let last = self.columns.len();
            for step in 0..last {
                let column = &mut self.columns[if to_the_right { step } else { last - 1 - step }];
                let mean = |one: &usize| mean(&neighbours[*one], &place).unwrap_or(place[*one]);
                let mut with_means: Vec<(f64, usize)> = column.iter().map(|one| (mean(one), *one)).collect();
                with_means.sort_by(|one, other| one.0.total_cmp(&other.0));
                *column = with_means.into_iter().map(|(_, one)| one).collect();
                for (at, one) in column.iter().enumerate() {
                    place[*one] = at as f64 / column.len() as f64;
                }
            }
        }
    }

    fn note_places(&self, place: &mut [f64]) {
        for column in &self.columns {
            for (at, one) in column.iter().enumerate() {
                place[*one] = at as f64 / column.len() as f64;
            }
        }
    }

    /// Gives everything its coordinates, from `top` down; the answer is where it ends.
    fn place(&self, top: f64, layout: &mut Layout) -> f64 {
        let height = |one: usize| match self.things[one] {
            Thing::Box(_) => BOX_HEIGHT,
            Thing::Line(_) => LINE_HEIGHT,
        };
        let mut middle = vec![0.0; self.things.len()];
        for sweep in 0..SWEEPS {
            let neighbours = if sweep % 2 == 0 { &self.before } else { &self.after };
            for column in &self.columns {
                let wanted: Vec<f64> = column
                    .iter()
                    .map(|one| mean(&neighbours[*one], &middle).unwrap_or(middle[*one]))
                    .collect();
                let heights: Vec<f64> = column.iter().map(|one| height(*one)).collect();
                for (one, at) in column.iter().zip(spread(&wanted, &heights)) {
                    middle[*one] = at;
                }
            }
        }
        let edge = |sign: f64| move |(one, at): (usize, &f64)| at + sign * height(one) / 2.0;
        let first = middle.iter().enumerate().map(edge(-1.0)).fold(f64::INFINITY, f64::min);
        let last = middle.iter().enumerate().map(edge(1.0)).fold(f64::NEG_INFINITY, f64::max);
        for (index, column) in self.columns.iter().enumerate() {
            let left = MARGIN + index as f64 * (BOX_WIDTH + COLUMN_GAP);
            for one in column {
                let at = (top + middle[*one] - first).round();
                match self.things[*one] {
                    Thing::Box(it) => layout.boxes[it] = (left, (at - BOX_HEIGHT / 2.0).round()),
                    // In and out of the column at the same height, so that it passes between the boxes.
                    Thing::Line(it) => layout.lines[it].extend([(left, at), (left + BOX_WIDTH, at)]),
                }
            }
        }
        top + last - first
    }
}

fn mean(of: &[usize], values: &[f64]) -> Option<f64> {
    (!of.is_empty()).then(|| of.iter().map(|one| values[*one]).sum::<f64>() / of.len() as f64)
}

/// As near to where each is wanted as their order and heights allow: the isotonic regression of the
/// places, by merging neighbours that get in each other's way.
fn spread(wanted: &[f64], heights: &[f64]) -> Vec<f64> {
    let mut offsets = Vec::with_capacity(wanted.len());
    let mut offset = 0.0;
    for (index, height) in heights.iter().enumerate() {
        if index > 0 {
            offset += heights[index - 1] / 2.0 + ROW_GAP + height / 2.0;
        }
        offsets.push(offset);
    }
    // Of each block: the sum of what its members want, and how many they are.
    let mut blocks: Vec<(f64, usize)> = Vec::new();
    for (wanted, offset) in wanted.iter().zip(&offsets) {
        blocks.push((wanted - offset, 1));
        while let [.., (sum, count), (next_sum, next_count)] = blocks[..]
            && sum / count as f64 >= next_sum / next_count as f64
        {
            blocks.truncate(blocks.len() - 2);
            blocks.push((sum + next_sum, count + next_count));
        }
    }
    let places = blocks.iter().flat_map(|(sum, count)| std::iter::repeat_n(sum / *count as f64, *count));
    places.zip(offsets).map(|(place, offset)| place + offset).collect()
}

/// The same lines, turned round where they would close a circle.
fn without_circles(count: usize, mut lines: Vec<(usize, usize)>) -> Vec<(usize, usize)> {
    #[derive(Clone, Copy, PartialEq)]
    enum Seen {
        No,
        OnTheWay,
        Done,
    }
    let mut out = vec![Vec::new(); count];
    for (index, (from, _)) in lines.iter().enumerate() {
        out[*from].push(index);
    }
    let mut seen = vec![Seen::No; count];
    for first in 0..count {
        if seen[first] != Seen::No {
            continue;
        }
        seen[first] = Seen::OnTheWay;
        let mut way = vec![(first, 0)];
        while let Some((one, next)) = way.last_mut() {
            let Some(line) = out[*one].get(*next) else {
                seen[*one] = Seen::Done;
                way.pop();
                continue;
            };
            *next += 1;
            let (from, to) = lines[*line];
            match seen[to] {
                Seen::No => {
                    seen[to] = Seen::OnTheWay;
                    way.push((to, 0));
                }
                Seen::OnTheWay => lines[*line] = (to, from),
                Seen::Done => {}
            }
        }
    }
    lines
}

/// The column of each box: after all that lead to it, and no further left than what it leads to allows.
fn columns_of(count: usize, lines: &[(usize, usize)]) -> Vec<usize> {
    let lines: Vec<_> = lines.iter().filter(|(from, to)| from != to).collect();
    let mut leading = vec![0; count];
    for (_, to) in &lines {
        leading[*to] += 1;
    }
    let mut ready: VecDeque<usize> = (0..count).filter(|one| leading[*one] == 0).collect();
    let (mut column, mut order) = (vec![0; count], Vec::with_capacity(count));
    while let Some(one) = ready.pop_front() {
        order.push(one);
        for (_, to) in lines.iter().filter(|(from, _)| *from == one) {
            column[*to] = column[*to].max(column[one] + 1);
            leading[*to] -= 1;
            if leading[*to] == 0 {
                ready.push_back(*to);
            }
        }
    }
    for one in order.into_iter().rev() {
        let next = lines.iter().filter(|(from, _)| *from == one).map(|(_, to)| column[*to]).min();
        column[one] = next.map_or(column[one], |next| next - 1);
    }
    column
}

#[cfg(test)]
mod tests {
    use super::*;

    fn overlap(one: (f64, f64), other: (f64, f64)) -> bool {
        (one.0 - other.0).abs() < BOX_WIDTH && (one.1 - other.1).abs() < BOX_HEIGHT
    }

    fn check(count: usize, lines: &[(usize, usize)]) -> Layout {
        let layout = lay_out(count, lines);
        for (index, one) in layout.boxes.iter().enumerate() {
            let inside = one.0 >= 0.0
                && one.1 >= 0.0
                && one.0 + BOX_WIDTH <= layout.width
                && one.1 + BOX_HEIGHT <= layout.height;
            assert!(inside, "box {index} at {one:?} of {}×{}", layout.width, layout.height);
            assert!(
                layout.boxes[..index].iter().all(|other| !overlap(*one, *other)),
                "box {index}: {layout:?}"
            );
        }
        layout
    }

    #[test]
    fn a_diamond_is_drawn_from_left_to_right_and_evenly() {
        let layout = check(4, &[(0, 1), (0, 2), (1, 3), (2, 3)]);
        let [a, b, c, d] = layout.boxes[..] else { panic!("{layout:?}") };
        assert!(a.0 < b.0 && b.0 == c.0 && c.0 < d.0, "{layout:?}");
        assert!(a.1 == d.1 && b.1 < a.1 && a.1 < c.1, "{layout:?}");
        assert_eq!(layout.lines[0].len(), 2);
    }

    #[test]
    fn a_line_past_a_column_goes_round_the_boxes_in_it() {
        let layout = check(3, &[(0, 1), (1, 2), (0, 2)]);
        let [.., past] = &layout.lines[..] else { panic!("{layout:?}") };
        assert_eq!(past.len(), 4);
        let (_, middle) = layout.boxes[1];
        assert!(past[1].1 < middle || past[1].1 > middle + BOX_HEIGHT, "{layout:?}");
    }

    #[test]
    fn circles_and_parts_and_single_boxes_are_drawn_too() {
        let layout = check(6, &[(0, 1), (1, 0), (1, 2), (3, 4), (2, 2)]);
        assert!(layout.lines.iter().all(|line| line.len() >= 2), "{layout:?}");
        assert_eq!(check(0, &[]).boxes, []);
    }

    #[test]
    fn the_ends_of_every_line_are_at_its_boxes() {
        let lines: Vec<_> = (1..300).flat_map(|one| [((one - 1) / 3, one), (one / 7, one)]).collect();
        let lines: Vec<_> = lines.into_iter().filter(|(from, to)| from != to).collect();
        let layout = check(300, &lines);
        for (points, (from, to)) in layout.lines.iter().zip(&lines) {
            let (first, last) = (points[0], points[points.len() - 1]);
            assert_eq!(first, (layout.boxes[*from].0 + BOX_WIDTH, layout.boxes[*from].1 + BOX_HEIGHT / 2.0));
            assert_eq!(last, (layout.boxes[*to].0, layout.boxes[*to].1 + BOX_HEIGHT / 2.0));
            assert!(points.windows(2).all(|pair| pair[0].0 <= pair[1].0), "{points:?}");
        }
    }
}
