//! C ← f(α op(A) op(B) + β C): the five loops around the register tile, as in Goto and van de Geijn, "Anatomy of
//! high-performance matrix multiplication" (2008).

use super::gemv;
use super::pack::{LanesAre, Source, pack, packed_len};
use super::tile::{self, MAX_TILE};
use super::vector::{Element, Kernel, On, Vector};
use crate::matrix::{MatMut, MatRef, Scratch};
use crate::ops::{Activation, Gemm, GemmParts, Trans};

/// Most steps of the sum in one block (KC). A panel of B of this depth (16 columns of `f32`: 24 KiB) stays in the L1
/// cache while all of A's panels pass by.
const DEPTH: usize = 400;

/// Most bytes of a packed block of A (MC × KC), which has to stay in the L2 cache: half of Zen 3's 512 KiB.
const BLOCK_BYTES: usize = 256 * 1024;

/// Most columns in one block of B (NC): with KC steps of `f32` 6.4 MB, a share of the L3 cache.
const COLUMNS: usize = 4096;

/// What is done to each finished element of C while its tile is in the L1 cache.
#[derive(Debug, Clone, Copy)]
pub(super) enum Finish<'a, T> {
    /// Nothing.
    Nothing,
    /// f(c + bias of the column)
    Activate(Activation, Option<&'a [T]>),
    /// c · f′, with f′ told from the activation's output at the same place.
    Slope(Activation, MatRef<'a, T>),
}

impl<T: Element> Finish<'_, T> {
    /// Carries it out for the elements from (`i`, `j`) on, of which `len` count.
    #[inline(always)]
    pub(super) fn apply<V: Vector<T = T>>(&self, on: On<V>, i: usize, j: usize, len: usize, c: V) -> V {
        match *self {
            Finish::Nothing => c,
            Finish::Activate(f, None) => on.activation(f, c),
            Finish::Activate(f, Some(bias)) => {
                on.activation(f, c.add(on.load_part(&bias[j..j + len], T::zero())))
            }
            Finish::Slope(f, output) => on.slope(f, c, on.load_part(&output.row(i)[j..j + len], T::zero())),
        }
    }
}

/// A product to be carried out. Its maker has checked that the shapes fit; a wrong one panics, it does no harm.
#[derive(Debug)]
pub(super) struct Product<'a, T> {
    pub(super) alpha: T,
    pub(super) a: Source<'a, T>,
    pub(super) ta: Trans,
    pub(super) b: MatRef<'a, T>,
    pub(super) tb: Trans,
    pub(super) beta: T,
    pub(super) c: MatMut<'a, T>,
    /// op(A)'s columns, op(B)'s rows.
    pub(super) k: usize,
    pub(super) finish: Finish<'a, T>,
    pub(super) scratch: &'a mut Scratch<T>,
}

impl<'a, T: Element> Product<'a, T> {
    /// From a checked gemm.
    pub(super) fn new(gemm: Gemm<'a, T>, finish: Finish<'a, T>, scratch: &'a mut Scratch<T>) -> Self {
        let k = gemm.k();
        let GemmParts { alpha, a, ta, b, tb, beta, c } = gemm.into_parts();
        Self { alpha, a: Source::Matrix(a), ta, b, tb, beta, c, k, finish, scratch }
    }
}

/// `total` cut into as few equal pieces of at most `most` as it takes; the length of a piece, a multiple of `unit`.
fn piece(total: usize, most: usize, unit: usize) -> usize {
    let pieces = total.div_ceil(most.max(unit)).max(1);
    total.div_ceil(pieces).next_multiple_of(unit).max(1)
}

/// Steps of the sum in one block, KC. It decides how sums are rounded, so that it depends on k alone.
pub(super) fn depth_of_block(k: usize) -> usize {
    piece(k, DEPTH, 1)
}

impl<T: Element> Kernel<T> for Product<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector<T = T>>(mut self, on: On<V>) {
        let (m, n, k) = (self.c.rows(), self.c.cols(), self.k);
        if m == 1 && self.tb == Trans::No {
            return gemv::run(on, self);
        }
        let (mr, nr) = (tile::rows::<V>(), tile::columns::<V>());
        let a_lanes = if self.ta == Trans::No { LanesAre::Rows } else { LanesAre::Columns };
        let b_lanes = if self.tb == Trans::No { LanesAre::Columns } else { LanesAre::Rows };
        let b = Source::Matrix(self.b);

        let nc = piece(n, COLUMNS, nr);
        let kc = depth_of_block(k);
        let mc = piece(m, BLOCK_BYTES / size_of::<T>() / kc / mr * mr, mr);
        let mut a_block = self.scratch.take(packed_len(mr, mc.min(m), kc));
        let mut b_block = self.scratch.take(packed_len(nr, nc.min(n), kc));

        // Loop 5: blocks of NC columns of B and C.
        for j0 in (0..n).step_by(nc) {
            let columns = j0..(j0 + nc).min(n);
            // Loop 4: blocks of KC steps of the sum. With k = 0 it is one empty block, which still scales C.
            for p0 in (0..k.max(1)).step_by(kc) {
                let steps = p0..(p0 + kc).min(k);
                let b_block = &mut b_block[..packed_len(nr, columns.len(), steps.len())];
                pack(nr, &b, b_lanes, columns.clone(), steps.clone(), b_block);
                let beta = if p0 == 0 { self.beta } else { T::one() };
                let finish = if steps.end == k { self.finish } else { Finish::Nothing };
                // Loop 3: blocks of MC rows of A and C.
                for i0 in (0..m).step_by(mc) {
                    let rows = i0..(i0 + mc).min(m);
                    let a_block = &mut a_block[..packed_len(mr, rows.len(), steps.len())];
                    pack(mr, &self.a, a_lanes, rows.clone(), steps.clone(), a_block);
                    let out = Out { alpha: self.alpha, beta, finish, c: &mut self.c };
                    block(on, a_block, b_block, steps.len(), (i0, rows.end), (j0, columns.end), out);
                }
            }
        }
        self.scratch.give(a_block);
        self.scratch.give(b_block);
    }
}

/// Where a block's tiles go, and how.
struct Out<'a, 'c, T> {
    alpha: T,
    beta: T,
    finish: Finish<'a, T>,
    c: &'a mut MatMut<'c, T>,
}

/// The product of one packed block of A and one of B, for rows `i0 .. i1` and columns `j0 .. j1` of C.
#[inline(always)]
fn block<V: Vector>(
    on: On<V>,
    a: &[V::T],
    b: &[V::T],
    steps: usize,
    (i0, i1): (usize, usize),
    (j0, j1): (usize, usize),
    mut out: Out<'_, '_, V::T>,
) {
    let (mr, nr) = (tile::rows::<V>(), tile::columns::<V>());
    let mut tile = [V::T::default(); MAX_TILE];
    // Loop 2: panels of NR columns of B.
    for (q, j) in (j0..j1).step_by(nr).enumerate() {
        let b_panel = &b[q * nr * steps..][..nr * steps];
        // Loop 1: panels of MR rows of A.
        for (r, i) in (i0..i1).step_by(mr).enumerate() {
            let a_panel = &a[r * mr * steps..][..mr * steps];
            tile::product(on, a_panel, b_panel, &mut tile);
            write(on, &tile, i..(i + mr).min(i1), j..(j + nr).min(j1), &mut out);
        }
    }
}

/// C ← finish(α tile + β C) in the given rows and columns. With β = 0, C is not read.
#[inline(always)]
fn write<V: Vector>(
    on: On<V>,
    tile: &[V::T; MAX_TILE],
    rows: std::ops::Range<usize>,
    columns: std::ops::Range<usize>,
    out: &mut Out<'_, '_, V::T>,
) {
    for (i, sums) in rows.zip(tile.chunks_exact(tile::columns::<V>())) {
        let j = columns.start;
        let c_row = &mut out.c.row(i)[columns.clone()];
        let how = (out.alpha, out.beta, &out.finish);
        if c_row.len() == sums.len() {
            // All of it in whole vectors: lengths that the compiler knows.
            for jv in (0..sums.len()).step_by(V::LANES) {
                put(on, how, &sums[jv..], i, j + jv, &mut c_row[jv..jv + V::LANES]);
            }
        } else {
            for (c, jv) in c_row.chunks_mut(V::LANES).zip((0..).step_by(V::LANES)) {
                put(on, how, &sums[jv..], i, j + jv, c);
            }
        }
    }
}

/// c ← finish(α sums + β c) for one vector of C or a part of one, at (`i`, `j`). Not a closure, which might be compiled outside of the
/// shell that has the instructions.
#[inline(always)]
pub(super) fn put<V: Vector>(
    on: On<V>,
    (alpha, beta, finish): (V::T, V::T, &Finish<'_, V::T>),
    sums: &[V::T],
    i: usize,
    j: usize,
    c: &mut [V::T],
) {
    let mut v = on.splat(alpha).mul(on.load(sums));
    if beta != V::T::default() {
        v = on.splat(beta).mul_add(on.load_part(c, V::T::default()), v);
    }
    on.store_part(finish.apply(on, i, j, c.len(), v), c);
}
