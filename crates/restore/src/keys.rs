//! Reading a network's settings from the names and shapes of a checkpoint's tensors.

use fonds_nn::weights::Tensors;

/// The shape of the tensor at a key, when it has `N` axes.
pub(crate) fn shape<const N: usize>(tensors: &Tensors, key: &str) -> Option<[usize; N]> {
    tensors.get(key)?.shape().try_into().ok()
}

/// Output channels, input channels of a group, and side of the square kernel at a key.
pub(crate) fn kernel(tensors: &Tensors, key: &str) -> Option<[usize; 3]> {
    match shape(tensors, key)? {
        [outer, inner, rows, columns] if rows == columns => Some([outer, inner, rows]),
        _ => None,
    }
}

/// The number of `n` = 0, 1, 2 … for which a key exists.
pub(crate) fn count(tensors: &Tensors, key: impl Fn(usize) -> String) -> usize {
    // There cannot be more than there are tensors.
    (0..tensors.len())
        .take_while(|&n| tensors.contains(&key(n)))
        .count()
}

/// The number whose square this is.
pub(crate) fn root(square: usize) -> Option<usize> {
    let root = square.isqrt();
    (root > 0 && root * root == square).then_some(root)
}

#[cfg(test)]
mod tests {
    use super::*;
    use fonds_nn::weights::Tensor;

    #[test]
    fn shapes_and_numbered_keys_are_read() {
        let tensor =
            |shape: &[usize]| Tensor::from_f32(shape, &vec![0.0; shape.iter().product()]).unwrap();
        let tensors: Tensors = [
            ("a.0", tensor(&[4, 3, 5, 5])),
            ("a.1", tensor(&[4, 3, 1, 5])),
            ("a.3", tensor(&[4])),
        ]
        .into_iter()
        .collect();
        assert_eq!(kernel(&tensors, "a.0"), Some([4, 3, 5]));
        assert_eq!(kernel(&tensors, "a.1"), None, "not square");
        assert_eq!(kernel(&tensors, "a.3"), None);
        assert_eq!(shape(&tensors, "a.3"), Some([4]));
        assert_eq!(count(&tensors, |n| format!("a.{n}")), 2);
        assert_eq!(
            [root(16), root(1), root(12), root(0)],
            [Some(4), Some(1), None, None]
        );
    }
}
