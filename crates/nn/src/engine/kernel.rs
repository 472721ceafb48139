//! Which instructions the engine uses: what the processor has, or what is forced.

use std::fmt;

use fonds_core::{Code, Error, Result};

/// A kernel path. Equal paths give equal bytes on every machine, but for
/// [`Kernel::Portable`], where `gemm` chooses its instructions by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kernel {
    /// x86-64 with AVX-512 (F, VL, BW, DQ).
    Avx512,
    /// x86-64 with AVX2 and FMA.
    Avx2,
    /// 64-bit ARM with NEON.
    Neon,
    /// Any processor: plain Rust, products by the `gemm` crate.
    Portable,
}

impl Kernel {
    /// All paths, the fastest first.
    pub const ALL: [Self; 4] = [Self::Avx512, Self::Avx2, Self::Neon, Self::Portable];

    /// The fastest path that this processor has.
    pub fn detect() -> Self {
        let found = Self::ALL.into_iter().find(|kernel| kernel.is_available());
        found.unwrap_or(Self::Portable)
    }

    /// Whether this processor has the instructions.
    pub fn is_available(self) -> bool {
        match self {
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => {
                is_x86_feature_detected!("avx512f")
                    && is_x86_feature_detected!("avx512vl")
                    && is_x86_feature_detected!("avx512bw")
                    && is_x86_feature_detected!("avx512dq")
                    && is_x86_feature_detected!("avx2")
                    && is_x86_feature_detected!("fma")
            }
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma"),
            #[cfg(target_arch = "aarch64")]
            Self::Neon => std::arch::is_aarch64_feature_detected!("neon"),
            Self::Portable => true,
            _ => false,
        }
    }

    /// The name in arguments and records.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Avx512 => "avx512",
            Self::Avx2 => "avx2",
            Self::Neon => "neon",
            Self::Portable => "portable",
        }
    }

    /// The path of this name, when this processor has it.
    ///
    /// # Errors
    /// `invalid_request` for an unknown name, `not_built_in` for a path that the processor lacks.
    pub fn from_name(name: &str) -> Result<Self> {
        let Some(kernel) = Self::ALL.into_iter().find(|kernel| kernel.as_str() == name) else {
            let message = format!("there is no kernel path `{name}`");
            let error = Error::new(Code::InvalidRequest, message);
            return Err(error.hint("give one of `avx512`, `avx2`, `neon`, `portable`"));
        };
        if kernel.is_available() {
            return Ok(kernel);
        }
        let message = format!("this processor has no {kernel} instructions");
        let error = Error::new(Code::NotBuiltIn, message);
        Err(error.hint(format!("this one's fastest path is `{}`", Self::detect())))
    }
}

impl fmt::Display for Kernel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_lead_back_to_kernels() {
        for kernel in Kernel::ALL {
            let found = Kernel::from_name(kernel.as_str());
            match found {
                Ok(found) => assert_eq!(found, kernel),
                Err(error) => {
                    assert_eq!(error.code(), Code::NotBuiltIn);
                    assert!(!kernel.is_available());
                }
            }
        }
        let error = Kernel::from_name("mmx").unwrap_err();
        assert_eq!(error.code(), Code::InvalidRequest);
    }

    #[test]
    fn what_is_detected_is_there() {
        assert!(Kernel::detect().is_available());
    }
}
