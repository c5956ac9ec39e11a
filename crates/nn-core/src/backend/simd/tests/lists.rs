//! The lists of pairs against what they are defined to be.

use super::super::lists::partners::swap_partners;
use super::super::lists::{
    BEYOND, FEW_ENTRIES, Lists, list, list_portable, whole_words, write, write_portable,
};
use super::numbers;
use super::pairs::bytes;
use crate::backend::reference::fits;
use crate::matrix::{
    GROUP_ROWS, InputRef, Listed, MAX_PANEL, Maker, NO_LINE, Prepared, Rows, SparseBytes, SparseRows, Writer,
};

/// What one pair's lists in one panel must be: places in both, between the bytes of either, then those of one alone, after its byte.
fn expected(a: &[u8], b: &[u8]) -> ([usize; 3], Vec<u8>) {
    let places = |f: fn(bool, bool) -> bool| -> Vec<u8> {
        (0..a.len()).filter(|&at| f(a[at] != 0, b[at] != 0)).map(|at| at as u8).collect()
    };
    let (both, first, second) = (places(|a, b| a && b), places(|a, b| a && !b), places(|a, b| b && !a));
    let lens = [both.len(), first.len(), second.len()];
    let both = both.into_iter().flat_map(|at| [a[at as usize], at, b[at as usize]]);
    let first = first.into_iter().flat_map(|at| [a[at as usize], at]);
    let second = second.into_iter().flat_map(|at| [b[at as usize], at]);
    (lens, both.chain(first).chain(second).collect())
}

/// What the lines of lists are.
#[derive(Clone, Copy, PartialEq)]
enum By {
    Row,
    Column,
}

/// Panics unless the lists are those of `lines`, each of which comes in one pair of each panel.
fn check(lists: &Lists<'_>, lines: &[Vec<u8>], by: By, what: &str) {
    let places = lines.first().map_or(0, Vec::len);
    let zeros = vec![0; places];
    // How often each line is met in each panel.
    let ends = (0..lists.parts()).map(|part| lists.part(part).panels().end);
    let panels = ends.max().unwrap_or(0);
    let mut met = vec![vec![0; lines.len()]; panels];
    for lists in (0..lists.parts()).map(|part| lists.part(part)) {
        assert_eq!(lists.lines(), lines.len(), "{what}");
        for p in lists.panels() {
            // The last panel has all that is left.
            let own = p * lists.panel()..if p + 1 == panels {
                places
            } else {
                ((p + 1) * lists.panel()).min(places)
            };
            assert!(own.len() <= lists.height(p), "{what}: panel {p}");
            // Where a panel reaches into the next one, pairs of few entries have all of them in the first of the two.
            let first = p - p % 2;
            let two = first * lists.panel()..(first * lists.panel() + lists.height(first)).min(places);
            let reaches = by == By::Column && two.len() > lists.panel();
            let Listed { heads, full, mut stream } = lists.of_panel(p);
            for (i, head) in heads.iter().enumerate() {
                assert_eq!(
                    head.is_empty(),
                    i >= full,
                    "{what}: the heads of panel {p}, of which {full} have lists"
                );
                let [a, b] = head.lines;
                let (a, b) = (a as usize, Some(b as usize).filter(|_| b != NO_LINE));
                met[p][a] += 1;
                b.into_iter().for_each(|b| met[p][b] += 1);
                let b = b.map_or(&zeros, |b| &lines[b]);
                let lit = |at: &usize| lines[a][*at] != 0 || b[*at] != 0;
                let part = match two.clone().filter(lit).count() {
                    n if !reaches || n > FEW_ENTRIES as usize => own.clone(),
                    _ if p == first => two.clone(),
                    _ => 0..0,
                };
                let (lens, entries) = expected(&lines[a][part.clone()], &b[part]);
                let found = [head.both, head.first, head.second].map(usize::from);
                assert_eq!(found, lens, "{what}: lengths of lines {:?} in panel {p}", head.lines);
                let (own, rest) = stream.split_at(entries.len());
                assert_eq!(own, entries, "{what}: lines {:?} in panel {p}", head.lines);
                stream = rest;
            }
            assert!(!stream.is_empty(), "{what}: a byte to be read along");
            let last = p + 1 == lists.panels().end;
            assert!(!last || stream.len() == 1, "{what}: something follows the last list");
        }
    }
    assert!(met.iter().flatten().all(|&times| times == 1), "{what}: every line in one pair of each panel");
}

fn selected<'a>(set: &'a SparseBytes<f32>, rows: Rows<'a>) -> SparseRows<'a, f32> {
    match fits(InputRef::sparse_bytes(set).select(rows)) {
        InputRef::SparseBytes(rows) => rows,
        other => panic!("sparse bytes stay sparse bytes, these are {other:?}"),
    }
}

#[test]
fn every_entry_is_in_one_list_of_its_pair_by_row_and_by_column() {
    // One maker for all, as a worker has: what an earlier, larger call left must not show.
    let mut maker = Maker::default();
    for cols in [784, 1, 2, 15, 16, 17, 63, 64, 65, 127, 128, 129, 193, 255, 256, 300, 511] {
        for rows in [1, 2, 3, 16, 17, 125, 126, 127, 251, 252] {
            let all = GROUP_ROWS + rows;
            let set = fits(SparseBytes::new(&bytes(all, cols), all, cols, 255.0f32));
            let list: Vec<u32> = (0..rows as u32).map(|i| i * 7919 % all as u32).collect();
            for selection in [
                Rows::Range { start: GROUP_ROWS, len: rows },
                Rows::Range { start: 0, len: GROUP_ROWS },
                Rows::Range { start: 3, len: rows },
                Rows::List(&list),
            ] {
                let x = selected(&set, selection);
                let lines: Vec<Vec<u8>> = (0..x.rows.len()).map(|i| x.row(i).to_vec()).collect();
                let columns: Vec<Vec<u8>> =
                    (0..cols).map(|j| lines.iter().map(|line| line[j]).collect()).collect();
                let what = format!("{cols} columns, rows {selection:?}");
                check(&maker.lists_by_row(&x), &lines, By::Row, &format!("{what}, by row"));
                check(&maker.lists_by_column(&x), &columns, By::Column, &format!("{what}, by column"));
                // Kept or made again, they are the same.
                check(&maker.lists_by_row(&x), &lines, By::Row, &format!("{what}, by row again"));
                check(&maker.lists_by_column(&x), &columns, By::Column, &format!("{what}, by column again"));
                for (parts, backward) in
                    [(1, true), (2, false), (2, true), (3, true), (4, true), (8, true), (40, true)]
                {
                    let mut made: Vec<Prepared> = (0..parts).map(|_| Prepared::default()).collect();
                    for (part, prepared) in made.iter_mut().enumerate() {
                        maker.make_part(&x, (part, parts), backward, prepared);
                    }
                    check(&Lists::ByRow(&made), &lines, By::Row, &format!("{what}, by row in {parts} parts"));
                    if backward {
                        let what = format!("{what}, by column in {parts} parts");
                        check(&Lists::ByColumn(&made), &columns, By::Column, &what);
                    }
                }
            }
        }
    }
}

#[test]
fn a_pair_is_written_alike_with_the_instruction_that_compresses_and_without() {
    let line = whole_words(MAX_PANEL);
    let noise = numbers::<f64>(3, 40 * 2 * line);
    for (turn, lines) in noise.chunks_exact(2 * line).enumerate() {
        // From all zeros to none.
        let limit = turn as f64 / 19.5 - 1.0;
        let both: Vec<u8> =
            lines.iter().map(|&x| if x < limit { (x.abs() * 254.0) as u8 + 1 } else { 0 }).collect();
        let (a, b) = both.split_at(line);
        for len in [0, 1, 2, 63, 64, 65, 126, 127, 128, 129, 191, 192, 193, 196, 254, 255] {
            // No more is read than whole masks.
            let (a, b) = (&a[..whole_words(len).max(64)], &b[..whole_words(len).max(64)]);
            let listed = |write: &dyn Fn(Writer<'_>)| {
                let mut lists = Maker::default().by_row;
                lists.begin((2, MAX_PANEL), (MAX_PANEL, MAX_PANEL), 0..1, 0..1);
                lists.list_panel(|_, to| write(to));
                lists.lists
            };
            let fast = listed(&|to| write([([0, 1], a, b)].into_iter(), len, to));
            let portable = listed(&|mut to| write_portable(([0, 1], a, b), len, &mut to));
            let (lens, entries) = expected(&a[..len], &b[..len]);
            for lists in [fast, portable] {
                let Listed { heads, full, stream } = lists.of_panel(0);
                let [head] = heads else { panic!("{turn} {len}: {heads:?}") };
                assert_eq!(full, usize::from(!entries.is_empty()), "{turn} {len}");
                let found = [head.both, head.first, head.second].map(usize::from);
                assert_eq!((found, head.lines), (lens, [0, 1]), "{turn} {len}");
                assert_eq!(&stream[..stream.len() - 1], entries, "{turn} {len}");
            }
        }
    }
}

#[test]
fn a_row_is_listed_alike_with_the_instruction_that_compresses_and_without_and_nothing_beyond_it() {
    let noise = numbers::<f64>(5, 40 * 300);
    for (turn, noise) in noise.chunks_exact(300).enumerate() {
        // From all zeros to none; what follows a row counts for nothing.
        let limit = turn as f64 / 19.5 - 1.0;
        let mut row: Vec<u8> =
            noise.iter().map(|&x| if x < limit { (x.abs() * 254.0) as u8 + 1 } else { 0 }).collect();
        row.extend([7; BEYOND]);
        for len in [0, 1, 7, 8, 9, 31, 32, 33, 63, 64, 65, 128, 299, 300] {
            let expected: Vec<(u16, u8)> =
                (0u16..).zip(row[..len].iter().copied()).filter(|&(_, byte)| byte != 0).collect();
            let (mut places, mut bytes) = ([0; 300 + BEYOND], [0; 300 + BEYOND]);
            for portable in [false, true] {
                let count = if portable {
                    list_portable(&row[..len], &mut places, &mut bytes)
                } else {
                    list(&row, len, &mut places, &mut bytes)
                };
                let found: Vec<(u16, u8)> = places.into_iter().zip(bytes).take(count).collect();
                assert_eq!(found, expected, "{turn}, {len} bytes, portable: {portable}");
            }
        }
    }
}

#[test]
fn rows_that_differ_least_are_paired_where_lists_are_kept_or_rows_are_picked() {
    // Rows i and i + 4 have the same entries.
    let (rows, cols) = (8, 40);
    let byte = |(i, j): (usize, usize)| u8::from(j % 4 == i % 4 || j == i % 4 + 1) * 9;
    let all: Vec<u8> = (0..rows * cols).map(|at| byte((at / cols, at % cols))).collect();
    let set = fits(SparseBytes::new(&all, rows, cols, 255.0f32));
    let mut maker = Maker::default();
    let x = selected(&set, Rows::Range { start: 0, len: rows });
    let mut pairs =
        |x| maker.lists_by_row(x).part(0).of_panel(0).heads.iter().map(|head| head.lines).collect::<Vec<_>>();
    assert_eq!(pairs(&x), [[0, 4], [1, 5], [2, 6], [3, 7]]);
    let x = selected(&set, Rows::Range { start: 1, len: 6 });
    assert_eq!(pairs(&x), [[0, 1], [2, 3], [4, 5]], "some rows of a group are paired as they come");
    // Of eight rows, each is its own kind's example, or that of the row it is like.
    let list: Vec<u32> = (0..rows as u32).collect();
    let mut picked = pairs(&selected(&set, Rows::List(&list)));
    picked.sort_unstable();
    assert_eq!(picked, [[0, 4], [1, 5], [2, 6], [3, 7]], "picked rows are paired with rows of their kind");
}

#[test]
fn partners_are_swapped_until_no_swap_of_two_pairs_brings_them_nearer() {
    for len in [0, 2, 4, 6, 40] {
        let noise = numbers::<f64>(11, len * len);
        let apart = |a: u16, b: u16| {
            let (low, high) = (a.min(b) as usize, a.max(b) as usize);
            (noise[low * len + high].abs() * 1000.0) as u32
        };
        let mut pairs: Vec<[u16; 2]> = (0..len as u16 / 2).map(|q| [2 * q, 2 * q + 1]).collect();
        let sum = |pairs: &[[u16; 2]]| pairs.iter().map(|&[a, b]| apart(a, b)).sum::<u32>();
        let before = sum(&pairs);
        swap_partners(&mut pairs, apart);
        assert!(sum(&pairs) < before || len < 40 && sum(&pairs) == before, "{len} lines");
        let mut met: Vec<u16> = pairs.iter().flatten().copied().collect();
        met.sort_unstable();
        assert!(met.into_iter().eq(0..len as u16), "each line is in one pair");
        for (i, &[a, b]) in pairs.iter().enumerate() {
            for &[c, d] in &pairs[..i] {
                let now = apart(a, b) + apart(c, d);
                assert!(now <= apart(a, c) + apart(b, d) && now <= apart(a, d) + apart(b, c), "{len} lines");
            }
        }
    }
}
