//! Writes ONNX's protobuf messages: each function returns a message's bytes, in the order of the fields of onnx.proto.

/// A field of protobuf's wire type 0, a varint.
pub fn int(field: u32, value: i64) -> Vec<u8> {
    [varint(u64::from(field) << 3), varint(value as u64)].concat()
}

/// A field of wire type 2: a string, bytes, a message, packed numbers.
pub fn bytes(field: u32, value: impl AsRef<[u8]>) -> Vec<u8> {
    let value = value.as_ref();
    [varint(u64::from(field) << 3 | 2), varint(value.len() as u64), value.to_vec()].concat()
}

/// A field of wire type 5: a float.
pub fn float(field: u32, value: f32) -> Vec<u8> {
    [varint(u64::from(field) << 3 | 5), value.to_le_bytes().to_vec()].concat()
}

pub fn varint(mut value: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    while value >= 0x80 {
        bytes.push(value as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
    bytes
}

/// The same field for each item.
fn repeated<T>(items: impl IntoIterator<Item = T>, field: impl Fn(T) -> Vec<u8>) -> Vec<u8> {
    items.into_iter().flat_map(field).collect()
}

pub fn model(graph: impl AsRef<[u8]>) -> Vec<u8> {
    model_with(graph, &[])
}

pub fn model_with(graph: impl AsRef<[u8]>, functions: &[Vec<u8>]) -> Vec<u8> {
    [int(1, 9), bytes(7, graph), repeated(functions, |function| bytes(25, function))].concat()
}

pub fn graph(nodes: &[Vec<u8>], initializers: &[Vec<u8>]) -> Vec<u8> {
    [repeated(nodes, |node| bytes(1, node)), repeated(initializers, |tensor| bytes(5, tensor))].concat()
}

/// A graph's input of this name.
pub fn graph_input(name: &str) -> Vec<u8> {
    bytes(11, bytes(1, name))
}

/// A graph's input with these axes; one without a length is called `n`.
pub fn shaped_input(name: &str, axes: &[Option<i64>]) -> Vec<u8> {
    let axis = |length: &Option<i64>| bytes(1, length.map_or_else(|| bytes(2, "n"), |length| int(1, length)));
    let shape = bytes(2, repeated(axes, axis));
    let float = int(1, FLOAT);
    bytes(11, [bytes(1, name), bytes(2, bytes(1, [float, shape].concat()))].concat())
}

pub fn node(operator: &str, inputs: &[&str], outputs: &[&str], attributes: &[Vec<u8>]) -> Vec<u8> {
    [
        repeated(inputs, |input| bytes(1, input)),
        repeated(outputs, |output| bytes(2, output)),
        bytes(4, operator),
        repeated(attributes, |attribute| bytes(5, attribute)),
    ]
    .concat()
}

/// The node with a name.
pub fn named(node: Vec<u8>, name: &str) -> Vec<u8> {
    [node, bytes(3, name)].concat()
}

/// The node with an operator's domain.
pub fn of_domain(node: Vec<u8>, domain: &str) -> Vec<u8> {
    [node, bytes(7, domain)].concat()
}

pub mod attribute {
    use super::{bytes, float, int, repeated};

    pub fn int_(name: &str, value: i64) -> Vec<u8> {
        [bytes(1, name), int(3, value), int(20, 2)].concat()
    }

    pub fn float_(name: &str, value: f32) -> Vec<u8> {
        [bytes(1, name), float(2, value), int(20, 1)].concat()
    }

    pub fn text(name: &str, value: &str) -> Vec<u8> {
        [bytes(1, name), bytes(4, value), int(20, 3)].concat()
    }

    pub fn tensor(name: &str, value: impl AsRef<[u8]>) -> Vec<u8> {
        [bytes(1, name), bytes(5, value), int(20, 4)].concat()
    }

    pub fn graph(name: &str, value: impl AsRef<[u8]>) -> Vec<u8> {
        [bytes(1, name), bytes(6, value), int(20, 5)].concat()
    }

    pub fn floats(name: &str, values: &[f32]) -> Vec<u8> {
        [bytes(1, name), repeated(values, |&value| float(7, value)), int(20, 6)].concat()
    }

    pub fn ints(name: &str, values: &[i64]) -> Vec<u8> {
        [bytes(1, name), repeated(values, |&value| int(8, value)), int(20, 7)].concat()
    }

    pub fn texts(name: &str, values: &[&str]) -> Vec<u8> {
        [bytes(1, name), repeated(values, |value| bytes(9, value)), int(20, 8)].concat()
    }

    /// In a function's body: the call's attribute of this name.
    pub fn reference(name: &str, of_call: &str) -> Vec<u8> {
        [bytes(1, name), int(20, 2), bytes(21, of_call)].concat()
    }
}

pub const FLOAT: i64 = 1;
pub const INT8: i64 = 3;
pub const INT64: i64 = 7;
pub const FLOAT16: i64 = 10;
pub const DOUBLE: i64 = 11;
pub const BFLOAT16: i64 = 16;

/// A tensor with its numbers in this field, of whatever form.
pub fn tensor(name: &str, shape: &[usize], data_type: i64, data: impl AsRef<[u8]>) -> Vec<u8> {
    let shape = repeated(shape, |&axis| int(1, axis as i64));
    [shape, int(2, data_type), bytes(8, name), data.as_ref().to_vec()].concat()
}

/// Floats in raw form.
pub fn floats(name: &str, shape: &[usize], values: &[f32]) -> Vec<u8> {
    tensor(name, shape, FLOAT, bytes(9, raw(values)))
}

/// 64-bit integers in raw form.
pub fn integers(name: &str, values: &[i64]) -> Vec<u8> {
    let raw: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
    tensor(name, &[values.len()], INT64, bytes(9, raw))
}

pub fn raw(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_le_bytes()).collect()
}
