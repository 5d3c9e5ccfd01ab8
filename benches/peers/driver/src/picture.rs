//! The record as a picture: a dot a peer and workload, milliseconds a call on a logarithmic axis.

use anyhow::{Result, anyhow};
use plotters::prelude::*;

use crate::record::Record;

/// Readable on white and on black: medium lightness, told apart by colour-blind readers.
const COLOURS: [RGBColor; 10] = [
    RGBColor(0x2b, 0x8c, 0xd9),
    RGBColor(0x1b, 0x9e, 0x77),
    RGBColor(0xe0, 0x6c, 0x1f),
    RGBColor(0xc4, 0x4e, 0x9e),
    RGBColor(0x8c, 0x7a, 0xe6),
    RGBColor(0xb8, 0x8a, 0x00),
    RGBColor(0xd6, 0x4f, 0x4f),
    RGBColor(0x3f, 0xb6, 0xb6),
    RGBColor(0xa0, 0x6a, 0x42),
    RGBColor(0x7f, 0x7f, 0x7f),
];
const TEXT: RGBColor = RGBColor(0x80, 0x80, 0x80);
const SIZE: (u32, u32) = (900, 480);

pub fn svg(record: &Record) -> Result<String> {
    let mut picture = String::new();
    draw(record, &mut picture).map_err(|error| anyhow!("{error}"))?;
    Ok(picture)
}

fn draw(record: &Record, picture: &mut String) -> Result<(), Box<dyn std::error::Error>> {
    let times = || record.entries.iter().flat_map(|entry| entry.outcomes.values().filter_map(|o| o.ms()));
    let (low, high) = times().fold((f64::INFINITY, 0.0f64), |(low, high), ms| (low.min(ms), high.max(ms)));
    if low > high {
        return Err("nothing was timed".into());
    }
    let rows = record.entries.len() as f64;
    let root = SVGBackend::with_string(picture, SIZE).into_drawing_area();
    let style = ("sans-serif", 13).into_font().color(&TEXT);
    let mut chart = ChartBuilder::on(&root)
        .margin(12)
        .caption("milliseconds a call, less is better", style.clone())
        .x_label_area_size(28)
        .y_label_area_size(90)
        .right_y_label_area_size(120)
        .build_cartesian_2d((low / 1.5..high * 1.5).log_scale(), 0.0..rows)?;
    chart
        .configure_mesh()
        .disable_y_mesh()
        .y_labels(0)
        .bold_line_style(TEXT.mix(0.4))
        .light_line_style(TEXT.mix(0.12))
        .axis_style(TEXT)
        .label_style(style.clone())
        .draw()?;
    for (k, entry) in record.entries.iter().enumerate() {
        let y = rows - 0.5 - k as f64;
        let (_, at) = chart.backend_coord(&(low, y));
        root.draw(&Text::new(entry.workload.name.clone(), (12, at - 7), style.clone()))?;
        let line = [(low / 1.5, y), (high * 1.5, y)];
        chart.draw_series([PathElement::new(line, TEXT.mix(0.3))])?;
    }
    for (k, (name, _)) in record.peers.iter().enumerate() {
        let colour = COLOURS[k % COLOURS.len()];
        let dots = record.entries.iter().enumerate().filter_map(|(row, entry)| {
            Some(Circle::new((entry.ms(name)?, rows - 0.5 - row as f64), 5, colour.filled()))
        });
        chart.draw_series(dots)?;
        let at = (SIZE.0 as i32 - 112, 50 + 22 * k as i32);
        root.draw(&Circle::new(at, 5, colour.filled()))?;
        root.draw(&Text::new((*name).to_owned(), (at.0 + 12, at.1 - 7), style.clone()))?;
    }
    root.present()?;
    Ok(())
}
