//! The recording, its probabilities and its speech as one SVG picture.

use std::ops::Range;

use anyhow::Result;
use plotters::coord::Shift;
use plotters::prelude::{
    Cartesian2d, ChartBuilder, ChartContext, Color, DashedLineSeries, DrawingArea, EmptyElement, FontStyle,
    IntoDrawingArea, IntoFont, LineSeries, PathElement, Polygon, RGBColor, Rectangle, SVGBackend, ShapeStyle,
    Text, WHITE,
};
use plotters::style::text_anchor::{HPos, Pos, VPos};

use crate::axis::{Ticked, TimeAxis, decimals, round_below};
use crate::envelope::{curve, is_crowded, outline};
use crate::network::CHUNK;
use crate::recording::RATE;
use crate::segments::{Segment, lower_threshold};

const SIZE: (u32, u32) = (1200, 520);
const HEADER: u32 = 66;
const WAVEFORM: u32 = 190;
/// Room beside both panels: numbers and names on the left, the thresholds' names on the right.
const LEFT: u32 = 96;
const RIGHT: u32 = 66;
/// How much of that room is the margin of the picture.
const EDGE: u32 = 18;
/// Pixels from the first moment to the last.
const COLUMNS: usize = (SIZE.0 - LEFT - RIGHT) as usize;

/// The amplitude axis shows at least this much, where a recording is silent.
const SILENCE: f32 = 1e-3;

const INK: RGBColor = RGBColor(31, 41, 55);
const FAINT: RGBColor = RGBColor(100, 108, 122);
const GRID: RGBColor = RGBColor(226, 229, 234);
const WAVE: RGBColor = RGBColor(71, 85, 105);
const CURVE: RGBColor = RGBColor(29, 78, 216);
const LIMIT: RGBColor = RGBColor(190, 60, 30);
const SPEECH: RGBColor = RGBColor(198, 239, 213);

/// The data of the picture.
pub struct Picture<'a> {
    pub title: &'a str,
    pub subtitle: &'a str,
    pub samples: &'a [f32],
    pub probabilities: &'a [f32],
    pub segments: &'a [Segment],
    pub threshold: f32,
}

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;
type Chart<'a, 'b> = ChartContext<'a, SVGBackend<'b>, Cartesian2d<Ticked, Ticked>>;

/// A vertical axis: its name, its ends, its ticks and how they are written.
struct Vertical {
    name: &'static str,
    range: Range<f64>,
    ticks: Vec<f64>,
    decimals: usize,
}

impl Picture<'_> {
    /// The picture as SVG text.
    pub fn svg(&self) -> Result<String> {
        let mut svg = String::new();
        let page = SVGBackend::with_string(&mut svg, SIZE).into_drawing_area();
        page.fill(&WHITE)?;
        let (header, panels) = page.split_vertically(HEADER);
        let (upper, lower) = panels.split_vertically(WAVEFORM);
        self.header(&header)?;
        self.waveform(&upper)?;
        self.curve(&lower)?;
        page.present()?;
        drop((page, header, panels, upper, lower)); // the text is whole once nobody draws on it
        Ok(svg)
    }

    fn header(&self, area: &Area) -> Result<()> {
        let left = LEFT as i32;
        write(area, self.title, (left, 26), (22, FontStyle::Bold, INK), HPos::Left)?;
        write(area, self.subtitle, (left, 50), (16, FontStyle::Normal, FAINT), HPos::Left)?;
        // the legend, at the right end of the title's line
        let right = (SIZE.0 - RIGHT) as i32;
        let swatch = [(right - 52 - 26, 18), (right - 52 - 8, 33)];
        area.draw(&Rectangle::new(swatch, SPEECH.filled()))?;
        write(area, "speech", (right, 26), (17, FontStyle::Normal, INK), HPos::Right)
    }

    fn waveform(&self, area: &Area) -> Result<()> {
        let peak = self.samples.iter().fold(SILENCE, |peak, s| peak.max(s.abs()));
        let (tick, end) = (round_below(f64::from(peak)), f64::from(peak) * 1.08);
        let mut chart = self.panel(
            area,
            Vertical {
                name: "amplitude",
                range: -end..end,
                ticks: vec![-tick, 0.0, tick],
                decimals: decimals(tick),
            },
            false,
        )?;
        let points = self.over_time(outline(self.samples, COLUMNS));
        chart.draw_series([Polygon::new(points.clone(), WAVE.filled())])?;
        chart.draw_series([PathElement::new(points, WAVE.stroke_width(1))])?;
        Ok(())
    }

    fn curve(&self, area: &Area) -> Result<()> {
        let name = match is_crowded(self.probabilities, COLUMNS) {
            true => "mean probability",
            false => "probability of speech",
        };
        let mut chart = self.panel(
            area,
            Vertical {
                name,
                range: 0.0..1.02,
                ticks: (0..=4).map(|n| f64::from(n) / 4.0).collect(),
                decimals: 2,
            },
            true,
        )?;
        let width = CHUNK as f64 / self.samples.len() as f64;
        let points = self.over_time(curve(self.probabilities, width, COLUMNS));
        chart.draw_series(LineSeries::new(points, CURVE.stroke_width(1)))?;
        let seconds = self.seconds();
        let lower = lower_threshold(self.threshold);
        for (name, threshold) in [("begins", self.threshold), ("ends", lower)] {
            let end = (seconds, f64::from(threshold));
            let style = ShapeStyle::from(LIMIT).stroke_width(1);
            chart.draw_series(DashedLineSeries::new([(0.0, end.1), end], 6, 5, style))?;
            let font = ("sans-serif", 16).into_font().color(&LIMIT);
            let font = font.pos(Pos::new(HPos::Left, VPos::Center));
            let label = EmptyElement::at(end) + Text::new(name, (7, 0), font);
            chart.draw_series([label])?;
        }
        Ok(())
    }

    /// Axes, grid and shaded speech of one panel; the time axis is labelled where `time` says so.
    fn panel<'a, 'b>(&self, area: &'a Area<'b>, vertical: Vertical, time: bool) -> Result<Chart<'a, 'b>> {
        let axis = TimeAxis::new(self.seconds());
        let range = vertical.range.clone();
        let mut chart = ChartBuilder::on(area)
            .margin_top(6)
            .margin_right(RIGHT)
            .margin_left(EDGE)
            .x_label_area_size(if time { 50 } else { 8 })
            .y_label_area_size(LEFT - EDGE)
            .build_cartesian_2d(
                Ticked { range: 0.0..self.seconds(), ticks: axis.ticks() },
                Ticked { range: range.clone(), ticks: vertical.ticks },
            )?;
        let shade = |s: &Segment| {
            let [start, end] = [s.start, s.end].map(|at| at as f64 / RATE as f64);
            Rectangle::new([(start, range.start), (end, range.end)], SPEECH.filled())
        };
        chart.draw_series(self.segments.iter().map(shade))?;
        let label = ("sans-serif", 16).into_font().color(&INK);
        let name = ("sans-serif", 17).into_font().color(&INK);
        let time_label = |at: &f64| axis.label(*at);
        let time_name = format!("time ({})", axis.unit());
        let mut mesh = chart.configure_mesh();
        mesh.bold_line_style(GRID)
            .light_line_style(GRID)
            .axis_style(FAINT)
            .label_style(label)
            .axis_desc_style(name)
            .y_desc(vertical.name);
        let number = |at: &f64| format!("{at:.*}", vertical.decimals);
        mesh.y_label_formatter(&number);
        if time {
            mesh.x_desc(time_name).x_label_formatter(&time_label).draw()?;
        } else {
            mesh.x_labels(0).draw()?;
        }
        Ok(chart)
    }

    fn over_time(&self, points: Vec<(f64, f64)>) -> Vec<(f64, f64)> {
        let seconds = self.seconds();
        points.into_iter().map(|(x, y)| (x * seconds, y)).collect()
    }

    fn seconds(&self) -> f64 {
        self.samples.len() as f64 / RATE as f64
    }
}

/// One line of text, `at` its vertical middle.
fn write(
    area: &Area,
    text: &str,
    at: (i32, i32),
    font: (i32, FontStyle, RGBColor),
    side: HPos,
) -> Result<()> {
    let (size, weight, color) = font;
    let style = ("sans-serif", size).into_font().style(weight).color(&color);
    area.draw(&Text::new(text, at, style.pos(Pos::new(side, VPos::Center))))?;
    Ok(())
}
