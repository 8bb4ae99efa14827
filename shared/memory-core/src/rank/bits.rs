//! Logarithms as integers, so that every machine ranks alike.

/// log2(a / b) in 1/1000 for a >= b > 0, by repeated squaring.
pub(super) fn log2_milli(a: u64, b: u64) -> u64 {
    let mut x = (u128::from(a) << 32) / u128::from(b.max(1));
    let one = 1_u128 << 32;
    let mut whole = 0;
    while x >= 2 * one {
        x >>= 1;
        whole += 1;
    }
    let mut fraction = 0;
    for bit in 1..=12 {
        x = (x * x) >> 32;
        if x >= 2 * one {
            x >>= 1;
            fraction += 4_096 >> bit;
        }
    }
    whole * 1_000 + fraction * 1_000 / 4_096
}

/// How much a term tells that `having` of `texts` texts have, in bits, in 1/1000.
pub(super) fn rarity(texts: u64, having: u64) -> u64 {
    log2_milli(2 * texts + 2, 2 * having + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn logarithms_are_right_to_a_thousandth() {
        for (a, b, expected) in
            [(1, 1, 0), (2, 1, 1_000), (8, 1, 3_000), (3, 1, 1_584), (10, 1, 3_321), (20_002, 3, 12_702)]
        {
            let found = log2_milli(a, b);
            assert!(found.abs_diff(expected) <= 1, "log2({a}/{b}) = {found}");
        }
    }

    #[test]
    fn what_few_say_tells_more() {
        assert!(rarity(100, 1) > rarity(100, 2) && rarity(100, 100) < 20);
    }
}
