//! Weights averaged over the steps of a training run: steadier than those of the last step.

use std::collections::BTreeMap;

use candle_core::{DType, Device, Tensor, Var};
use fonds_core::{Code, Error, Result};

use crate::error::TensorResult;

/// The exponential moving average of parameters.
#[derive(Debug)]
pub struct Average {
    kept: f64,
    values: BTreeMap<String, Tensor>,
}

impl Average {
    /// An average that begins with the parameters as they are; of the old average `kept` (0 to
    /// below 1, usually 0.999) is kept in each step.
    ///
    /// # Errors
    /// `invalid_request` when `kept` is out of range.
    pub fn new<'a>(
        kept: f64,
        parameters: impl IntoIterator<Item = (&'a str, &'a Var)>,
    ) -> Result<Self> {
        if !(0.0..1.0).contains(&kept) {
            let message = format!("an average that keeps {kept} of itself");
            let error = Error::new(Code::InvalidRequest, message);
            return Err(error.hint("give a share from 0 to below 1, such as 0.999"));
        }
        let mut values = BTreeMap::new();
        for (name, var) in parameters {
            let value = var.as_tensor().detach().copy().in_network()?;
            values.insert(name.to_owned(), value);
        }
        Ok(Self { kept, values })
    }

    /// Takes the parameters of another step in.
    ///
    /// # Errors
    /// `internal` for a parameter that the average did not begin with.
    pub fn update<'a>(
        &mut self,
        parameters: impl IntoIterator<Item = (&'a str, &'a Var)>,
    ) -> Result<()> {
        for (name, var) in parameters {
            let Some(value) = self.values.get_mut(name) else {
                let message = format!("the parameter `{name}` is not in the average");
                return Err(Error::new(Code::Internal, message));
            };
            let old = (&*value * self.kept).in_network()?;
            let new = (var.as_tensor().detach() * (1.0 - self.kept)).in_network()?;
            *value = (old + new).in_network()?;
        }
        Ok(())
    }

    /// The averaged values by name.
    pub fn values(&self) -> &BTreeMap<String, Tensor> {
        &self.values
    }

    /// Takes back what [`Average::values`] gave, in this number type and on this device.
    ///
    /// # Errors
    /// `model_error` when a name is missing or has another shape.
    pub fn restore(
        &mut self,
        mut values: BTreeMap<String, Tensor>,
        dtype: DType,
        device: &Device,
    ) -> Result<()> {
        for (name, place) in &mut self.values {
            let value = values.remove(name).filter(|new| new.dims() == place.dims());
            let Some(value) = value else {
                let message = format!("the state has no average of `{name}` in its shape");
                return Err(Error::new(Code::ModelError, message));
            };
            let value = value.to_dtype(dtype).in_network()?;
            *place = value.to_device(device).in_network()?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_average_follows_slowly_and_shares_no_memory() {
        let var = Var::new(&[1.0_f32], &Device::Cpu).unwrap();
        let mut average = Average::new(0.75, [("w", &var)]).unwrap();
        var.set(&Tensor::new(&[5.0_f32], &Device::Cpu).unwrap())
            .unwrap();
        let value = |average: &Average| average.values()["w"].to_vec1::<f32>().unwrap()[0];
        assert_eq!(value(&average), 1.0);
        average.update([("w", &var)]).unwrap();
        assert_eq!(value(&average), 2.0);
    }
}
