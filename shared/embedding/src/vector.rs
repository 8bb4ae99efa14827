//! A vector of small integers, how it is made from sums, and how near two of them are.

use std::fmt;

/// Components of a vector, in the order of how much they tell (PCA): a prefix of a vector is a coarser vector.
pub const DIMENSION: usize = 256;

/// The length every vector that is not zero is brought to: the greatest with which no token's vector is cut at ±127 (the
/// greatest component of any is 0.78). With 127 rounding would cost twice as much; with 256 the one direction that all
/// texts of an unfamiliar script share would be cut in each of them.
const UNIT: i64 = 160;

/// A direction in the space of meanings; of length 160 up to rounding, or zero for a text of which nothing is known.
#[derive(Clone, Copy, Eq, PartialEq)]
pub struct Vector([i8; DIMENSION]);

impl Vector {
    /// Similar to nothing.
    pub const ZERO: Self = Self([0; DIMENSION]);

    /// A vector as it was stored. It must come from the model that it will be compared under.
    pub const fn new(components: [i8; DIMENSION]) -> Self {
        Self(components)
    }

    pub const fn components(&self) -> &[i8; DIMENSION] {
        &self.0
    }

    pub fn is_zero(&self) -> bool {
        *self == Self::ZERO
    }

    /// `sum · 160 / |sum|`: the length rounded down, each component to the nearest, halves up, and cut at ±127.
    ///
    /// The quotient is taken once, as a binary fraction with 24 significant bits, and multiplied with: 256 divisions would take
    /// most of the time of embedding a word, and so would a branch for each sign. The fraction's bits are part of the
    /// definition. It has at most 25 of them and a sum 31, so nothing overflows 64.
    pub(crate) fn from_sum(sum: &[i32; DIMENSION]) -> Self {
        let length = length(sum);
        if length == 0 {
            return Self::ZERO;
        }
        let shift = (i64::BITS - length.leading_zeros()) + 16;
        let fraction = (UNIT << shift) / length;
        let half = 1_i64 << (shift - 1);
        Self(sum.map(|x| {
            let rounded = i64::from(x).wrapping_mul(fraction).wrapping_add(half).wrapping_shr(shift);
            rounded.clamp(-127, 127) as i8
        }))
    }
}

/// Not 256 numbers in every log and failed assertion.
impl fmt::Debug for Vector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Vector({:?}…)", &self.0[..8])
    }
}

/// The cosine of two vectors in 1/1000, from −1000 to 1000; 0 if one of them is zero. Exact to a few thousandths, for
/// the lengths are 160 up to rounding only. Rounded to the nearest, halves up.
pub fn similarity(one: &Vector, other: &Vector) -> i32 {
    let dot = i64::from(dot(&one.0, &other.0));
    let rounded = (dot * 1000 + UNIT * UNIT / 2).div_euclid(UNIT * UNIT);
    rounded.clamp(-1000, 1000) as i32
}

/// At most 256 · 128² = 2²², so an `i32` cannot overflow. Saying so (`wrapping`, in every step) and keeping eight sums apart
/// is what makes the compiler multiply eight pairs at once: 18 ns instead of 60.
fn dot(one: &[i8; DIMENSION], other: &[i8; DIMENSION]) -> i32 {
    let mut sums = [0_i32; 8];
    for (one, other) in one.as_chunks::<8>().0.iter().zip(other.as_chunks::<8>().0) {
        for ((sum, &x), &y) in sums.iter_mut().zip(one).zip(other) {
            *sum = sum.wrapping_add(i32::from(x).wrapping_mul(i32::from(y)));
        }
    }
    sums.iter().fold(0, |all: i32, &sum| all.wrapping_add(sum))
}

/// The length of a sum, rounded down. The halves of the squares are added apart, for 128 bits are slow.
fn length(sum: &[i32; DIMENSION]) -> i64 {
    let (mut low, mut high) = (0_u64, 0_u64);
    for &x in sum {
        let x = u64::from(x.unsigned_abs());
        let square = x.wrapping_mul(x);
        low = low.wrapping_add(square & u64::from(u32::MAX));
        high = high.wrapping_add(square >> 32);
    }
    let squares = (u128::from(high) << 32) + u128::from(low);
    i64::try_from(squares.isqrt()).expect("256 squares of 32 bits have a root of 36 bits")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sum(parts: &[(usize, i32)]) -> [i32; DIMENSION] {
        let mut sum = [0; DIMENSION];
        for &(at, value) in parts {
            sum[at] = value;
        }
        sum
    }

    #[test]
    fn the_zero_sum_is_the_zero_vector_and_similar_to_nothing() {
        let other = Vector::from_sum(&sum(&[(3, 5)]));
        assert!(Vector::from_sum(&sum(&[])).is_zero());
        assert_eq!(similarity(&Vector::ZERO, &other), 0);
        assert_eq!(similarity(&Vector::ZERO, &Vector::ZERO), 0);
    }

    #[test]
    fn components_round_to_the_nearest_halves_up_and_are_cut() {
        // 16 · 80² + 6 = 320² + 6, so the length is 320 and a component half of its sum.
        let mut parts = vec![(0, 1), (1, -1), (2, -2)];
        parts.extend((4..20).map(|at| (at, 80)));
        let vector = Vector::from_sum(&sum(&parts));
        assert_eq!(vector.components()[..5], [1, 0, -1, 0, 40]);
        assert_eq!(Vector::from_sum(&sum(&[(0, -9)])).components()[0], -127);
    }

    #[test]
    fn the_greatest_sums_do_not_overflow() {
        let vector = Vector::from_sum(&[i32::MIN; DIMENSION]);
        assert_eq!(*vector.components(), [-10; DIMENSION]);
        assert_eq!(similarity(&vector, &vector), 1000);
        assert_eq!(similarity(&vector, &Vector::from_sum(&[i32::MAX; DIMENSION])), -1000);
        let greatest = Vector::new([i8::MIN; DIMENSION]);
        assert_eq!(similarity(&greatest, &greatest), 1000, "stored bytes may be anything");
    }

    #[test]
    fn similarity_is_symmetric_and_in_thousandths() {
        let one = Vector::from_sum(&[7; DIMENSION]);
        let mut half = [7; DIMENSION];
        half[..64].fill(-7);
        let half = Vector::from_sum(&half);
        assert_eq!(similarity(&one, &half), 500);
        assert_eq!(similarity(&half, &one), 500);
    }
}
