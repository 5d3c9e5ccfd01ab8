//! Errors name the tensor whose shape fits no LSTM, or not the other tensors.

use wgpu_lstm::{Error, LstmConfig};

use crate::support::{error, state_dict, zeros};

#[test]
fn a_tensor_of_another_shape_is_refused() {
    let config = LstmConfig::new(5, 3).with_num_layers(2).with_bidirectional(true).with_proj_size(2);
    let whole = state_dict(&config, "lstm.");
    for (name, array) in &whole {
        let shape = array.shape();
        let mut wrong = vec![vec![], vec![array.len(), 1, 1], vec![0], vec![0; shape.len()]];
        wrong.push([shape, &[1]].concat());
        wrong.push([&[1], shape].concat());
        wrong.extend((shape.len() == 2).then(|| vec![array.len()]));
        for axis in 0..shape.len() {
            for size in [0, shape[axis] - 1, shape[axis] + 1] {
                let mut shape = shape.to_vec();
                shape[axis] = size;
                wrong.push(shape);
            }
        }
        for shape in wrong {
            // The first layer's input can have any size, and a wrong P shows in the other tensors.
            let free = (name == "lstm.weight_ih_l0" && shape.len() == 2 && shape[0] == 12)
                || (name == "lstm.weight_hr_l0" && shape.len() == 2 && shape[1] == 3);
            if free && !shape.contains(&0) {
                continue;
            }
            let mut dict = whole.clone();
            dict.insert(name.clone(), zeros(&shape));
            match error(&dict, "lstm.") {
                Error::TensorShape { name: misshapen, expected, actual } => {
                    assert_eq!(misshapen, *name, "{shape:?}");
                    assert_eq!(actual, shape);
                    assert!(expected.starts_with('['), "{expected}");
                }
                other => panic!("{name} {shape:?}: {other}"),
            }
        }
    }
}

/// The tensor that the error names, and the shape it expects, if one tensor is given this shape.
#[track_caller]
fn misshapen(config: &LstmConfig, name: &str, shape: &[usize]) -> (String, String) {
    let mut dict = state_dict(config, "");
    dict.insert(name.to_owned(), zeros(shape));
    match error(&dict, "") {
        Error::TensorShape { name, expected, .. } => (name, expected),
        other => panic!("{other}"),
    }
}

#[test]
fn the_others_must_fit_the_first_layers_weight_ih() {
    let config = LstmConfig::new(5, 3).with_num_layers(2);
    let expect = |name: &str, shape: &str| (name.to_owned(), shape.to_owned());
    // H is inferred from weight_ih_l0, so the error names another tensor.
    assert_eq!(misshapen(&config, "weight_ih_l0", &[16, 5]), expect("weight_hh_l0", "[16, 4]"));
    assert_eq!(
        misshapen(&config, "weight_ih_l0", &[13, 5]),
        expect("weight_ih_l0", "[4·H, I], H and I at least 1")
    );
    assert_eq!(misshapen(&config, "weight_hh_l0", &[12, 4]), expect("weight_hh_l0", "[12, 3]"));
    assert_eq!(misshapen(&config, "weight_ih_l1", &[12, 5]), expect("weight_ih_l1", "[12, 3]"));
    assert_eq!(
        misshapen(&config.clone().with_bidirectional(true), "weight_ih_l1", &[12, 3]),
        expect("weight_ih_l1", "[12, 6]")
    );
    assert_eq!(
        misshapen(&config.with_proj_size(2), "weight_hr_l0", &[2, 4]),
        expect("weight_hr_l0", "[P, 3], P at least 1")
    );
}

#[test]
fn a_projection_left_out_shows_in_the_shape_of_weight_hh() {
    let mut dict = state_dict(&LstmConfig::new(5, 3).with_proj_size(2), "");
    dict.remove("weight_hr_l0");
    let Error::TensorShape { name, .. } = error(&dict, "") else {
        panic!("weight_hh is (4H, P)");
    };
    assert_eq!(name, "weight_hh_l0");
}

#[test]
fn a_projection_as_large_as_the_hidden_state_is_refused() {
    for proj in [3, 4, 7] {
        let mut dict = state_dict(&LstmConfig::new(5, 3).with_proj_size(2), "");
        dict.insert("weight_hr_l0".to_owned(), zeros(&[proj, 3]));
        match error(&dict, "") {
            Error::ProjectionTooLarge { proj_size, hidden_size } => {
                assert_eq!((proj_size, hidden_size), (proj, 3));
            }
            other => panic!("{other}"),
        }
    }
}
