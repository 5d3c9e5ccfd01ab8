//! What a device allows of a buffer, a dispatch and a submission.

use crate::error::{Error, ON_CPU};
use crate::program::{DeviceLimits, SubmissionLimits};

/// A desktop resets a GPU that is busy with one submission for about 2 s. The slowest device worth
/// running on, a software adapter on two cores, does some 2·10¹⁰ operations a second, and starts a
/// dispatch in 20 µs: each bound is about one second there.
pub(crate) const SUBMISSION: SubmissionLimits = SubmissionLimits {
    operations: 20_000_000_000,
    dispatches: 32_768,
    transfers: 128 << 20,
    uniforms: 16 << 20, // twice what as many steps take, at the usual alignment
};

/// The advice about a weight that is too large as f32 and fits as f16.
pub(crate) const AS_F16: &str =
    "as f16 (LstmWeights::to_precision) the weights would fit, and the CPU device has no such limit";

/// Refuses a buffer of `len` f32 that the device can't bind whole.
pub(crate) fn check_binding(limits: &DeviceLimits, what: &str, len: usize) -> Result<(), Error> {
    let needed = (len as u64).saturating_mul(4);
    for (limit_name, limit) in
        [("max_storage_buffer_binding_size", limits.max_binding), ("max_buffer_size", limits.max_buffer)]
    {
        if needed > limit {
            let (what, advice) = (what.to_owned(), Some(ON_CPU));
            return Err(Error::LimitExceeded { what, needed, limit_name, limit, advice });
        }
    }
    Ok(())
}

/// Refuses a dispatch of more workgroups in a dimension than the device takes.
pub(crate) fn check_workgroups(limits: &DeviceLimits, what: &str, workgroups: usize) -> Result<(), Error> {
    if workgroups as u64 > u64::from(limits.max_workgroups) {
        return Err(Error::LimitExceeded {
            what: what.to_owned(),
            needed: workgroups as u64,
            limit_name: "max_compute_workgroups_per_dimension",
            limit: u64::from(limits.max_workgroups),
            advice: Some(ON_CPU),
        });
    }
    Ok(())
}
