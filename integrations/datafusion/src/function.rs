//! `lstm_last` and `lstm_all`, as DataFusion sees them.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::ScalarValue;
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::simplify::{ExprSimplifyResult, SimplifyContext};
use datafusion::logical_expr::{
    ColumnarValue, Expr, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

use crate::compute::{Part, compute};
use crate::identity::Identity;
use crate::models::{Model, Models};
use crate::sequences::Expected;

/// `lstm_last(model, sequence)` or `lstm_all(model, sequence)`.
///
/// | argument | type |
/// |---|---|
/// | `model` | a constant: the name of a model |
/// | `sequence` | a list of vectors of Float32, I values each: T time steps |
/// | `identity` | added by the optimizer of the session that plans the query: see [`Identity`] |
///
/// `lstm_last` returns D·O values, the last hidden state of the last layer (in the reverse direction, the one after the
/// first vector); `lstm_all` returns T vectors of D·O values. A null or an empty sequence gives a null.
#[derive(Clone, Debug)]
pub struct LstmFunction {
    part: Part,
    models: Arc<Models>,
    signature: Signature,
}

impl LstmFunction {
    /// Both functions.
    pub fn all(models: &Arc<Models>) -> [Arc<ScalarUDF>; 2] {
        [Part::Last, Part::All].map(|part| {
            // Immutable, so that equal calls of a query are computed once.
            let signature = Signature::user_defined(Volatility::Immutable);
            Arc::new(ScalarUDF::new_from_impl(Self { part, models: Arc::clone(models), signature }))
        })
    }

    fn model(&self, name: Option<&ScalarValue>) -> Result<&Model> {
        match name.and_then(|name| name.try_as_str()) {
            Some(Some(name)) => self.models.get(name),
            _ => Err(DataFusionError::Plan(format!(
                "the first argument of {} must be a constant, the name of a model",
                self.name()
            ))),
        }
    }

    /// Refuses a call that was planned with other weights, or with other arithmetic if this process computes it.
    fn check_identity(&self, model: &Model, carried: &ScalarValue, computes: bool) -> Result<()> {
        let weights = self.models.identity(model).weights;
        let arithmetic = self.models.arithmetic();
        let text = carried.try_as_str().flatten().unwrap_or_default();
        let refuse = |what: &str, carried: &str, own: &str| {
            Err(DataFusionError::Execution(format!(
                "model '{}': this process has other {what} ({own}) than the one that planned the query ({carried})",
                model.name()
            )))
        };
        match Identity::from_text(text) {
            None => Err(DataFusionError::Execution(format!(
                "model '{}': the third argument, '{text}', is no identity: leave it out, the optimizer adds it",
                model.name()
            ))),
            Some(carried) if carried.weights != weights => refuse("weights", &carried.weights, &weights),
            Some(carried) if computes && carried.arithmetic != arithmetic => {
                refuse("arithmetic", &carried.arithmetic, arithmetic)
            }
            Some(_) => Ok(()),
        }
    }
}

impl ScalarUDFImpl for LstmFunction {
    fn name(&self) -> &str {
        match self.part {
            Part::Last => "lstm_last",
            Part::All => "lstm_all",
        }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        let (2 | 3) = types.len() else {
            return Err(DataFusionError::Plan(format!(
                "{} takes 2 arguments, a model and a sequence, but got {}",
                self.name(),
                types.len()
            )));
        };
        let mut types = types.to_vec();
        types[0] = DataType::Utf8;
        if types[1] == DataType::Null {
            let vector = DataType::List(Arc::new(Field::new_list_field(DataType::Float32, true)));
            types[1] = DataType::List(Arc::new(Field::new_list_field(vector, true)));
        }
        types.iter_mut().skip(2).for_each(|identity| *identity = DataType::Utf8);
        Ok(types)
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Err(DataFusionError::Internal(format!("the type of {} depends on its model", self.name())))
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        let model = self.model(args.scalar_arguments.first().copied().flatten())?;
        if let Some(Some(carried)) = args.scalar_arguments.get(2) {
            self.check_identity(model, carried, false)?;
        }
        let expected = Expected { model: model.name(), width: model.input_size() };
        if let Some(sequence) = args.arg_fields.get(1) {
            expected.check_type(sequence.data_type())?;
        }
        Ok(Arc::new(Field::new(self.name(), self.part.data_type(model.output_width())?, true)))
    }

    /// Adds the identity of the planning session's model. The optimizer keeps the name that the query gave the column.
    fn simplify(&self, mut args: Vec<Expr>, _: &SimplifyContext) -> Result<ExprSimplifyResult> {
        let [Expr::Literal(name, _), _] = args.as_slice() else {
            return Ok(ExprSimplifyResult::Original(args));
        };
        let identity = self.models.identity(self.model(Some(name))?).to_text();
        args.push(Expr::Literal(ScalarValue::Utf8(Some(identity)), None));
        let function = Arc::new(ScalarUDF::new_from_impl(self.clone()));
        Ok(ExprSimplifyResult::Simplified(Expr::ScalarFunction(ScalarFunction::new_udf(function, args))))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [ColumnarValue::Scalar(name), sequence, ColumnarValue::Scalar(carried)] = args.args.as_slice()
        else {
            return Err(DataFusionError::Execution(format!(
                "a call of {} has no identity: the session that planned the query must have the function registered, \
                 and its optimizer on",
                self.name()
            )));
        };
        // A model that is missing here was there when the query was planned: final, too.
        let model = self.model(Some(name)).map_err(|error| DataFusionError::Execution(error.to_string()))?;
        self.check_identity(model, carried, true)?;
        let column = sequence.to_array(args.number_rows)?;
        Ok(ColumnarValue::Array(compute(&self.models, model, &column, self.part)?))
    }
}

impl PartialEq for LstmFunction {
    fn eq(&self, other: &Self) -> bool {
        self.part == other.part && Arc::ptr_eq(&self.models, &other.models)
    }
}

impl Eq for LstmFunction {}

impl Hash for LstmFunction {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.part.hash(state);
        Arc::as_ptr(&self.models).hash(state);
    }
}
