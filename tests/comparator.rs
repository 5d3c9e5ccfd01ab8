//! The comparison that all other tests use can fail.

mod common;

use common::compare::{FLOOR, assert_close, f32_tolerance, f64_tolerance, worst_error};

#[test]
fn equal_passes() {
    assert_close("x", &[1.0_f32, -2.0], &[1.0, -2.0], 0.0);
    assert_close("x", &[1.0_f64, -2.0], &[1.0, -2.0], 0.0);
}

#[test]
fn within_the_tolerance_passes() {
    assert_close("x", &[1.0_f64, 2.5], &[1.0, 2.0], 0.5);
}

#[test]
#[should_panic(expected = "x is off by 5.0e-1 > 4.9e-1")]
fn past_the_tolerance_fails() {
    assert_close("x", &[1.0_f64, 2.5], &[1.0, 2.0], 0.49);
}

#[test]
#[should_panic(expected = "x: length")]
fn fewer_elements_fail() {
    assert_close("x", &[1.0_f32], &[1.0, 2.0], 1.0);
}

#[test]
#[should_panic(expected = "x: length")]
fn more_elements_fail() {
    assert_close("x", &[1.0_f32, 2.0], &[1.0], 1.0);
}

#[test]
#[should_panic(expected = "nothing to compare")]
fn nothing_fails() {
    assert_close::<f32>("x", &[], &[], 1.0);
}

#[test]
#[should_panic(expected = "x is off by NaN")]
fn nan_fails_wherever_it_stands() {
    assert_close("x", &[0.0, f32::NAN, 0.0], &[0.0; 3], f64::INFINITY);
}

#[test]
#[should_panic(expected = "x is off by NaN")]
fn negative_nan_fails() {
    assert_close("x", &[-f32::NAN, 0.0], &[0.0; 2], f64::INFINITY);
}

#[test]
#[should_panic(expected = "x is off by NaN")]
fn nan_in_the_truth_fails() {
    assert_close("x", &[f32::NAN], &[f64::NAN], 1.0);
}

#[test]
#[should_panic(expected = "x is off by inf")]
fn infinity_fails() {
    assert_close("x", &[0.0, f32::NEG_INFINITY], &[0.0; 2], 1e300);
}

#[test]
#[should_panic(expected = "x is off by NaN")]
fn infinity_fails_even_where_the_truth_is_infinite() {
    assert_close("x", &[f32::INFINITY], &[f64::INFINITY], 1.0);
}

#[test]
#[should_panic(expected = "x is off by")]
fn a_tolerance_of_nan_lets_nothing_pass() {
    assert_close("x", &[1.0_f32], &[1.0], f64::NAN);
}

#[test]
fn the_worst_error_is_the_largest_distance() {
    assert_eq!(worst_error(&[1.0_f32, 2.0, -3.0], &[1.5, 2.0, -1.0]), 2.0);
}

#[test]
fn tolerances_follow_the_case() {
    assert_eq!(f32_tolerance(&[1.0], &[1.25]), 0.5);
    assert_eq!(f32_tolerance(&[0.5, -4.0], &[0.5, -4.0]), f64::from(8.0 * f32::EPSILON));
    assert!((0.9e-6..1e-6).contains(&FLOOR));
    assert_eq!(f64_tolerance(&[0.5]), 1e-12);
    assert_eq!(f64_tolerance(&[-100.0, 0.5]), 1e-10);
}
