//! Reading takes time in proportion to the file, however many layers or networks it has.

use std::time::{Duration, Instant};

use safetensors::SafeTensors;
use wgpu_lstm::ndarray::ArrayD;
use wgpu_lstm::{Error, LstmConfig, LstmWeights};

/// Enough for a reader whose time is quadratic in the layers to take minutes.
const LAYERS: usize = 80_000;

/// A linear reader takes half a second, in a debug build on one busy core. The bound is 50 times that, so that no
/// noise reaches it; a quadratic reader took 4 s for 12,000 layers there, which is 180 s for these.
const BOUND: Duration = Duration::from_secs(25);

#[test]
fn many_layers_are_read_in_linear_time() {
    let config = LstmConfig::new(1, 1).with_num_layers(LAYERS).with_bias(false);
    let weights = LstmWeights::uniform(&config, 5).unwrap();
    let file = weights.to_safetensors("lstm.").unwrap();
    let dict: Vec<_> = SafeTensors::deserialize(&file)
        .unwrap()
        .iter()
        .map(|(name, _)| (name.to_owned(), ArrayD::zeros(vec![4, 1])))
        .collect();

    let start = Instant::now();
    assert_eq!(LstmWeights::from_safetensors(&file, "lstm.").unwrap(), weights);
    let from_file = start.elapsed();
    let start = Instant::now();
    assert_eq!(LstmWeights::from_state_dict(dict, "lstm.").unwrap().config(), &config);
    let from_dict = start.elapsed();
    println!("{LAYERS} layers: {from_file:?} from a file, {from_dict:?} from a state dict");
    assert!(from_file < BOUND && from_dict < BOUND, "{from_file:?}, {from_dict:?}");
}

/// A wrong prefix is compared with all others, some of which contain each other.
#[test]
fn many_networks_are_found_in_linear_time() {
    for depth in [1, 20] {
        let tensors = (0..LAYERS).map(|index| {
            let name = format!("{index}.{}weight_ih_l0", "module.".repeat(index % depth));
            (name, ArrayD::zeros(vec![4, 1]))
        });
        let start = Instant::now();
        let error = LstmWeights::from_state_dict(tensors, "lstm.").unwrap_err();
        let time = start.elapsed();
        println!("{LAYERS} networks: {time:?}");
        assert!(matches!(error, Error::WrongPrefix { found, .. } if found.len() == LAYERS));
        assert!(time < BOUND, "{time:?}");
    }
}
