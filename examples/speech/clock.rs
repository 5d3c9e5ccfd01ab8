//! Times as people read them.

/// `seconds` as m:ss (h:mm:ss from one hour on), with `decimals` digits after the point.
///
/// It rounds once, before it splits: 59.999 s with two decimals is `1:00.00`, never `0:60.00`.
pub fn clock(seconds: f64, decimals: u32) -> String {
    let scale = 10u64.pow(decimals);
    let ticks = (seconds * scale as f64).round() as u64;
    let (whole, fraction) = (ticks / scale, ticks % scale);
    let (hours, minutes, seconds) = (whole / 3600, whole / 60 % 60, whole % 60);
    let mut text = match hours {
        0 => format!("{minutes}:{seconds:02}"),
        _ => format!("{hours}:{minutes:02}:{seconds:02}"),
    };
    if decimals > 0 {
        text += &format!(".{fraction:0width$}", width = decimals as usize);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::clock;

    #[test]
    fn carries_what_it_rounds_up() {
        assert_eq!(clock(0.0, 0), "0:00");
        assert_eq!(clock(59.999, 2), "1:00.00");
        assert_eq!(clock(61.05, 2), "1:01.05");
        assert_eq!(clock(3600.0 + 62.0, 1), "1:01:02.0");
    }
}
