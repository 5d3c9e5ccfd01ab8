//! What a pipeline may need on hardware.

use crate::gpu::Vendor;
use crate::record::{Outcome, Row};

/// Bytes of AMD's instruction cache, the smallest of the five; two compute units of RDNA share it.
pub const CODE: u32 = 32 << 10;

/// Elements of a matrix, four numbers each, that a lane of a one-row tile has in flight at least: eight of 16 bytes, in
/// all lanes of a mid-range GPU, are what fills its memory's bandwidth.
pub const ELEMENTS_IN_FLIGHT: u32 = 8;

/// Which limits a pipeline exceeds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Exceeded {
    pub failed: bool,
    pub spills: bool,
    pub code: bool,
    pub in_flight: bool,
}

impl Exceeded {
    pub fn of(row: &Row) -> Self {
        let figures = match &row.outcome {
            Outcome::Failed(_) => return Self { failed: true, ..Self::default() },
            Outcome::Compiled { figures, .. } => figures,
        };
        let in_flight = figures.in_flight.unwrap_or_default();
        // a lane with less to load than that has it all in flight
        let wanted = (ELEMENTS_IN_FLIGHT * row.element_bytes).min(in_flight.all_bytes.unwrap_or(u32::MAX));
        Self {
            failed: false,
            spills: figures.spills(),
            code: figures.code.is_some_and(|bytes| bytes > CODE),
            in_flight: row.vendor == Vendor::Amd && row.one_row && in_flight.bytes < wanted,
        }
    }

    /// One line, if there is anything to say.
    pub fn describe(self, row: &Row) -> Option<String> {
        let figures = match &row.outcome {
            Outcome::Failed(error) => return Some(format!("{} {}: failed: {error}", row.gpu, row.kernel)),
            Outcome::Compiled { figures, .. } => figures,
        };
        let mut all = Vec::new();
        if self.spills {
            let (spills, scratch) = (figures.spills.unwrap_or(0), figures.scratch.unwrap_or(0));
            all.push(format!("{spills} spills, {scratch} bytes of scratch"));
        }
        if self.code {
            all.push(format!("{} bytes of code > {CODE}", figures.code.unwrap_or(0)));
        }
        if self.in_flight {
            let bytes = figures.in_flight.unwrap_or_default().bytes;
            let wanted = ELEMENTS_IN_FLIGHT * row.element_bytes;
            all.push(format!("{bytes} bytes in flight a lane < {wanted}"));
        }
        (!all.is_empty()).then(|| format!("{} {}: {}", row.gpu, row.kernel, all.join("; ")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::assembly::InFlight;
    use crate::figures::Figures;

    fn row(vendor: Vendor, one_row: bool, figures: Figures) -> Row {
        let outcome = Outcome::Compiled { figures, statistics: Vec::new() };
        let (gpu, kernel) = ("gpu", "kernel-r1".to_owned());
        Row { gpu, vendor, kernel, one_row, element_bytes: 16, outcome }
    }

    fn loading(bytes: u32, all_bytes: Option<u32>) -> Figures {
        let in_flight = Some(InFlight { loads: bytes / 16, bytes, all_bytes });
        Figures { code: Some(CODE), spills: Some(0), scratch: Some(0), in_flight, ..Figures::default() }
    }

    #[test]
    fn a_pipeline_at_the_limits_passes() {
        let row = row(Vendor::Amd, true, loading(128, None));
        assert_eq!(Exceeded::of(&row), Exceeded::default());
        assert_eq!(Exceeded::of(&row).describe(&row), None);
    }

    #[test]
    fn each_limit_is_checked() {
        let good = || loading(128, None);
        let cases = [
            (Figures { spills: Some(1), ..good() }, "1 spills, 0 bytes of scratch"),
            (Figures { scratch: Some(64), ..good() }, "0 spills, 64 bytes of scratch"),
            (Figures { code: Some(CODE + 8), ..good() }, "32776 bytes of code > 32768"),
            (loading(112, None), "112 bytes in flight a lane < 128"),
            (loading(64, Some(256)), "64 bytes in flight a lane < 128"),
        ];
        for (figures, line) in cases {
            let row = row(Vendor::Amd, true, figures);
            let described = Exceeded::of(&row).describe(&row).unwrap_or_default();
            assert_eq!(described, format!("gpu kernel-r1: {line}"));
        }
    }

    #[test]
    fn loads_in_flight_are_checked_on_amd_at_one_row_where_there_are_as_many() {
        for row in [
            row(Vendor::Intel, true, loading(16, None)),
            row(Vendor::Amd, false, loading(16, None)),
            row(Vendor::Amd, true, loading(64, Some(64))),
        ] {
            assert!(!Exceeded::of(&row).in_flight);
        }
    }

    #[test]
    fn a_failure_is_named() {
        let mut row = row(Vendor::Nvidia, false, Figures::default());
        row.outcome = Outcome::Failed("no answer".to_owned());
        assert!(Exceeded::of(&row).failed);
        let described = Exceeded::of(&row).describe(&row);
        assert_eq!(described.as_deref(), Some("gpu kernel-r1: failed: no answer"));
    }
}
