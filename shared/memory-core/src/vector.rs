//! Directions in a space of meanings, and where they come from.
//!
//! The core compares vectors; it does not make them. A table of token vectors is megabytes and belongs to a crate of its
//! own, which is reached through [`Embed`]. Everything is in integers, so every machine ranks alike: a component is one
//! byte, a product fits 16 bits and a dot product 32.

use std::fmt;

/// Components of a vector, in the order of how much they tell: a prefix of a vector is a coarser vector.
pub const DIMENSION: usize = 256;

/// The length that vectors of texts have, up to rounding.
pub const LENGTH: i32 = 160;

/// The meaning of a text: a direction of length [`LENGTH`], or zero where nothing is known.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Vector(pub [i8; DIMENSION]);

impl Vector {
    /// Similar to nothing.
    pub const ZERO: Self = Self([0; DIMENSION]);
}

impl fmt::Debug for Vector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Vector({:?}…)", &self.0[..4])
    }
}

/// Makes vectors. It must be a pure function: the same text has the same vector on every machine.
pub trait Embed: fmt::Debug + Sync {
    /// The vector of a text.
    fn text(&self, text: &str) -> Vector;

    /// The vector of a word; nothing if nothing is known of it.
    fn word(&self, word: &str) -> Option<Vector>;
}

/// Knows no word. Ranking then goes by words, speakers and dates alone.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoVectors;

impl Embed for NoVectors {
    fn text(&self, _: &str) -> Vector {
        Vector::ZERO
    }

    fn word(&self, _: &str) -> Option<Vector> {
        None
    }
}

/// The sum of the products. Eight sums are kept apart and wrap, so that the compiler can compute them side by side (10 ns
/// for 128 components; written with pairs or with one sum it is four to ten times that). None can reach the limits of 32
/// bits, as 256 products of a byte and a number of at most 15 bits do not.
#[must_use]
pub fn dot(one: &[i8], other: &[i16]) -> i32 {
    let mut sums = [0_i32; 8];
    let (ones, _) = one.as_chunks::<8>();
    let (others, _) = other.as_chunks::<8>();
    for (a, b) in ones.iter().zip(others) {
        for lane in 0..8 {
            sums[lane] = sums[lane].wrapping_add(i32::from(a[lane]).wrapping_mul(i32::from(b[lane])));
        }
    }
    sums.iter().fold(0, |all: i32, sum| all.wrapping_add(*sum))
}

/// `values` brought to the length `length`, each component rounded toward zero; zero stays zero.
#[must_use]
pub fn scaled(values: &[i64], length: i64) -> Vec<i16> {
    let most = values.iter().map(|value| value.unsigned_abs()).max().unwrap_or(0);
    // Squares of 24 bits, and 256 of them, fit.
    let shift = (u64::BITS - most.leading_zeros()).saturating_sub(24);
    let small: Vec<i64> = values.iter().map(|value| value >> shift).collect();
    let square: u64 = small.iter().map(|value| value.unsigned_abs().pow(2)).sum();
    let norm = i64::try_from(square.isqrt()).expect("a root has half the bits").max(1);
    small.iter().map(|value| i16::try_from(value * length / norm).unwrap_or(i16::MAX)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dot_product_is_the_sum_of_the_products() {
        let one: Vec<i8> = (0..256).map(|i| i8::try_from(i % 200 - 100).expect("a byte")).collect();
        let other: Vec<i16> = (0..256).map(|i| i16::try_from(i * 13 % 4_001 - 2_000).expect("small")).collect();
        let expected: i32 = one.iter().zip(&other).map(|(a, b)| i32::from(*a) * i32::from(*b)).sum();
        assert_eq!(dot(&one, &other), expected);
    }

    #[test]
    fn a_scaled_vector_has_the_length_and_the_direction() {
        let scaled_up = scaled(&[3_000_000_000_000, 4_000_000_000_000, 0], 1_000);
        assert_eq!(scaled_up[2], 0);
        assert!((599..=600).contains(&scaled_up[0]) && (799..=800).contains(&scaled_up[1]), "{scaled_up:?}");
        assert_eq!(scaled(&[0, 0], 1_000), [0, 0]);
    }
}
