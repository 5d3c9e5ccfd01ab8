//! The graphs of a model: which names each defines, and where its LSTM nodes are.
//!
//! A graph can be an attribute of a node (`If`, `Loop`, `Scan`), which sees the names around it, or the body of a
//! function, which sees its inputs only. A function's body is read once for each call, since its weights can be the
//! call's inputs.

use std::collections::BTreeMap;
use std::collections::hash_map::{Entry, HashMap};
use std::rc::Rc;

use super::messages::{Attribute, Function, ModelProto, Node, TENSOR_NAME, VALUE_NAME, name_of, sparse_name};
use super::wire::{fields, malformed};
use crate::error::Error;

/// The most levels of graphs in graphs, and of functions that call functions. Exporters nest three or four.
const MAX_DEPTH: usize = 64;

/// The most LSTM nodes: each costs about a kilobyte, and a file needs only 10 bytes for one.
const MAX_LSTMS: usize = 1_000;

/// The most fields of nodes that are read, beyond one for each byte of the file. Without functions there can't be
/// more than these; a chain of functions that each call the next one twice has 2ⁿ.
const MAX_CALLED: usize = 50_000;

/// The longest path of calls before a node's name, in bytes; what would make it longer is left out.
const MAX_PATH: usize = 256;

/// Index of a graph in [`Model::scopes`].
pub(super) type ScopeId = usize;

/// A node that computes an LSTM.
pub(super) struct LstmNode<'a> {
    pub(super) scope: ScopeId,
    pub(super) bytes: &'a [u8],
}

/// What defines a name in a graph.
#[derive(Clone, Copy)]
pub(super) enum Definition<'a> {
    /// A `TensorProto`.
    Initializer(&'a [u8]),
    SparseInitializer,
    /// The graph's input, of the model or of a loop's body: a `ValueInfoProto`.
    Input(&'a [u8]),
    /// A `NodeProto`, whose first output has the name.
    Node(&'a [u8]),
    /// A function's input is a name at its call, a call's output one of the function's body.
    Alias {
        scope: ScopeId,
        name: &'a str,
    },
    /// Several of the above, which is not allowed.
    Twice,
}

/// An attribute under the name that it has at a node: a reference stands for one of another name.
pub(super) type Named<'a> = (&'a str, Rc<Attribute<'a>>);

/// The names of one graph.
#[derive(Default)]
pub(super) struct Scope<'a> {
    /// The graph around it.
    parent: Option<ScopeId>,
    pub(super) names: HashMap<&'a str, Definition<'a>>,
    /// In a function's body: the attributes of the call, and those that it leaves out.
    attributes: Option<HashMap<&'a str, Rc<Attribute<'a>>>>,
    /// In a function's body: the names of the calls, each with a slash.
    path: Rc<str>,
}

/// What a walk through all graphs finds.
pub(super) struct Model<'a> {
    pub(super) scopes: Vec<Scope<'a>>,
    /// In the order of the file.
    pub(super) lstms: Vec<LstmNode<'a>>,
    /// How many nodes have each operator.
    pub(super) operators: BTreeMap<&'a str, usize>,
    pub(super) nodes: usize,
    /// Fields that may still be read.
    work_left: usize,
    /// By domain, name and overload.
    functions: HashMap<(&'a str, &'a str, &'a str), Rc<Function<'a>>>,
}

impl<'a> Model<'a> {
    pub(super) fn read(bytes: &'a [u8]) -> Result<Self, Error> {
        let proto = ModelProto::read(bytes)?;
        let functions = proto.functions.into_iter().map(|bytes| {
            let function = Function::read(bytes)?;
            Ok(((function.domain, function.name, function.overload), Rc::new(function)))
        });
        let mut model = Self {
            scopes: Vec::new(),
            lstms: Vec::new(),
            operators: BTreeMap::new(),
            nodes: 0,
            work_left: bytes.len().saturating_add(MAX_CALLED),
            functions: functions.collect::<Result<_, Error>>()?,
        };
        model.graph(proto.graph, None, 0)?;
        Ok(model)
    }

    fn graph(&mut self, bytes: &'a [u8], parent: Option<ScopeId>, depth: usize) -> Result<(), Error> {
        let path = parent.map_or_else(|| Rc::from(""), |parent| self.scopes[parent].path.clone());
        let scope = self.open(Scope { parent, path, ..Scope::default() }, depth)?;
        for field in fields(bytes) {
            let field = field?;
            match field.number {
                1 => self.node(field.bytes()?, scope, depth)?,
                5 => {
                    let tensor = field.bytes()?;
                    let name = self.spend(name_of(tensor, TENSOR_NAME)?)?;
                    self.define(scope, name, Definition::Initializer(tensor));
                }
                11 => {
                    let value = field.bytes()?;
                    let name = self.spend(name_of(value, VALUE_NAME)?)?;
                    self.define(scope, name, Definition::Input(value));
                }
                15 => {
                    let name = self.spend(sparse_name(field.bytes()?)?)?;
                    self.define(scope, name, Definition::SparseInitializer);
                }
                _ => {}
            }
        }
        // One that nothing refers to is not kept: a graph can be two bytes of the file.
        let is_last =
            scope + 1 == self.scopes.len() && self.lstms.last().is_none_or(|lstm| lstm.scope != scope);
        if is_last && self.scopes[scope].names.is_empty() {
            self.scopes.pop();
        }
        Ok(())
    }

    /// Counts fields that were read, and returns what was read.
    fn spend<T>(&mut self, (read, work): (T, usize)) -> Result<T, Error> {
        let left = self.work_left.checked_sub(work);
        self.work_left = left.ok_or_else(|| malformed("its functions call each other too often"))?;
        Ok(read)
    }

    fn attribute(&mut self, bytes: &'a [u8]) -> Result<Attribute<'a>, Error> {
        let attribute = Attribute::read(bytes)?;
        let work = attribute.work;
        self.spend((attribute, work))
    }

    fn open(&mut self, scope: Scope<'a>, depth: usize) -> Result<ScopeId, Error> {
        if depth > MAX_DEPTH {
            return Err(malformed(format!(
                "graphs and functions are nested more than {MAX_DEPTH} levels deep"
            )));
        }
        self.scopes.push(scope);
        Ok(self.scopes.len() - 1)
    }

    fn node(&mut self, bytes: &'a [u8], scope: ScopeId, depth: usize) -> Result<(), Error> {
        let node = Node::read(bytes)?;
        self.spend(((), node.work + 1))?;
        self.nodes += 1;
        *self.operators.entry(node.operator).or_default() += 1;
        if let Some(function) = self.functions.get(&(node.domain, node.operator, node.overload)).cloned() {
            return self.call(&node, &function, scope, depth + 1);
        }
        if is_lstm(&node) {
            if self.lstms.len() == MAX_LSTMS {
                return Err(malformed(format!("it has more than {MAX_LSTMS} LSTM nodes")));
            }
            self.lstms.push(LstmNode { scope, bytes });
        }
        for attribute in &node.attributes {
            for graph in self.attribute(attribute)?.graphs {
                self.graph(graph, Some(scope), depth + 1)?;
            }
        }
        if let Some(output) = node.outputs.first() {
            self.define(scope, output, Definition::Node(bytes));
        }
        Ok(())
    }

    fn call(
        &mut self,
        call: &Node<'a>,
        function: &Function<'a>,
        caller: ScopeId,
        depth: usize,
    ) -> Result<(), Error> {
        let mut attributes = HashMap::new();
        for bytes in &function.defaults {
            let attribute = self.attribute(bytes)?;
            attributes.insert(attribute.name, Rc::new(attribute));
        }
        for bytes in &call.attributes {
            let attribute = self.attribute(bytes)?;
            attributes.extend(self.resolved(caller, attribute));
        }
        let mut path = self.scopes[caller].path.clone();
        if !call.name.is_empty() && path.len() + call.name.len() < MAX_PATH {
            path = format!("{path}{}/", call.name).into();
        }
        let body = self.open(Scope { attributes: Some(attributes), path, ..Scope::default() }, depth)?;
        for (input, &name) in function.inputs.iter().zip(&call.inputs).filter(|(_, name)| !name.is_empty()) {
            self.define(body, input, Definition::Alias { scope: caller, name });
        }
        for node in &function.nodes {
            self.node(node, body, depth)?;
        }
        for (output, &name) in call.outputs.iter().zip(&function.outputs) {
            self.define(caller, output, Definition::Alias { scope: body, name });
        }
        Ok(())
    }

    fn define(&mut self, scope: ScopeId, name: &'a str, definition: Definition<'a>) {
        if name.is_empty() {
            return; // an output that is left out
        }
        match self.scopes[scope].names.entry(name) {
            Entry::Vacant(entry) => {
                entry.insert(definition);
            }
            // An input with an initializer: the initializer is its default value.
            Entry::Occupied(mut entry) => match (entry.get(), definition) {
                (Definition::Initializer(_), Definition::Input(_)) => {}
                (Definition::Input(_), Definition::Initializer(_)) => {
                    entry.insert(definition);
                }
                _ => {
                    entry.insert(Definition::Twice);
                }
            },
        }
    }

    /// The definition of a name that a graph sees, and the graph that has it.
    pub(super) fn definition(&self, scope: ScopeId, name: &str) -> Option<(ScopeId, Definition<'a>)> {
        let mut next = Some(scope);
        while let Some(scope) = next {
            if let Some(&definition) = self.scopes[scope].names.get(name) {
                return Some((scope, definition));
            }
            next = self.scopes[scope].parent;
        }
        None
    }

    /// The graph that has a name that a graph sees, and the name there, past calls of functions.
    pub(super) fn origin(&self, scope: ScopeId, name: &'a str) -> Option<(ScopeId, &'a str, Definition<'a>)> {
        let (mut scope, mut name) = (scope, name);
        // Calls are at most MAX_DEPTH deep, and a function's output can be its own input.
        for _ in 0..=2 * MAX_DEPTH {
            match self.definition(scope, name)? {
                (_, Definition::Alias { scope: next, name: next_name }) => (scope, name) = (next, next_name),
                (scope, definition) => return Some((scope, name, definition)),
            }
        }
        None
    }

    /// A node's attributes, with those of the call in place of references to them.
    pub(super) fn attributes(&self, scope: ScopeId, node: &Node<'a>) -> Result<Vec<Named<'a>>, Error> {
        let mut attributes = Vec::new();
        for bytes in &node.attributes {
            attributes.extend(self.resolved(scope, Attribute::read(bytes)?));
        }
        Ok(attributes)
    }

    /// The attribute, or that of the call to which it refers; `None` if the call has none.
    fn resolved(&self, scope: ScopeId, attribute: Attribute<'a>) -> Option<Named<'a>> {
        if attribute.refers_to.is_empty() {
            return Some((attribute.name, Rc::new(attribute)));
        }
        let mut scope = &self.scopes[scope];
        while let (None, Some(parent)) = (&scope.attributes, scope.parent) {
            scope = &self.scopes[parent];
        }
        let of_call = scope.attributes.as_ref()?.get(attribute.refers_to)?;
        Some((attribute.name, of_call.clone()))
    }

    /// The names of the calls around a graph, each with a slash.
    pub(super) fn path(&self, scope: ScopeId) -> &str {
        &self.scopes[scope].path
    }
}

fn is_lstm(node: &Node<'_>) -> bool {
    node.standard() == Some("LSTM") || is_quantized(node)
}

/// ONNX Runtime's LSTM of int8 weights.
pub(super) fn is_quantized(node: &Node<'_>) -> bool {
    (node.domain, node.operator) == ("com.microsoft", "DynamicQuantizeLSTM")
}
