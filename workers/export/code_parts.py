"""Fixed parts of an exported script."""

# Settings before and after Keras is imported: those of the search, overriding configuration files.
BACKEND = 'os.environ["KERAS_BACKEND"] = "tensorflow"'
SETTINGS = """\
keras.config.set_floatx("float32")
keras.config.set_epsilon(1e-7)"""

RRELU = '''
class RReLU(keras.layers.Layer):
    """Leaky ReLU with a random slope in training and the mean slope afterwards."""

    def __init__(self, lower, upper):
        super().__init__()
        self.lower, self.upper = lower, upper

    def call(self, x, training=False):
        slope = (self.lower + self.upper) / 2
        if training:
            slope = keras.random.uniform(keras.ops.shape(x), self.lower, self.upper)
        return keras.ops.where(x >= 0, x, slope * x)
'''

SCHEDULE = '''
class Schedule(keras.callbacks.Callback):
    """Sets the learning rate before each step."""

    def __init__(self):
        super().__init__()
        self.step = 0

    def on_train_batch_begin(self, batch, logs=None):
        at = self.step, EPOCHS * self.params["steps"], SCHEDULE
        self.model.optimizer.learning_rate = LEARNING_RATE * {factor}(*at)
        self.step += 1
'''

MOVED = """        self.model.optimizer.momentum.assign({momentum}(*at))
        self.step += 1"""

STOPPING = '''
class Stopping(keras.callbacks.EarlyStopping):
    """Keeps the best weights of all epochs; counts patience only after the rate has fallen."""

    def on_epoch_end(self, epoch, logs=None):
        super().on_epoch_end(epoch, logs)
        if epoch < {from_epoch}:  # epochs count from 0 here
            self.wait = 0
'''

MOMENTUM = '''
class Momentum(keras.Variable):
    """A momentum that changes during training; Keras only compares it with zero."""

    def __ne__(self, other):
        return True

    __hash__ = keras.Variable.__hash__
'''

MAIN = """
def main():
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 1
    for seed in SEEDS[:count]:
        x_train, y_train, x_valid, y_valid, x_test, y_test = load_data(seed)
        scaler = StandardScaler().fit(x_train)
        x_train, x_valid, x_test = map(scaler.transform, (x_train, x_valid, x_test))
{rest}


if __name__ == "__main__":
    main()
"""

# The metric named crossentropy is the loss without weight penalties, as scores exclude them.
CLASSIFY = """\
        keras.utils.set_random_seed(seed)
        model = train(x_train, y_train, x_valid, y_valid)
        _, accuracy, loss = model.evaluate(x_test, y_test, batch_size=1024, verbose=0)
        print(f"seed {seed}: test loss {loss:.4f}, test accuracy {accuracy:.4f}")"""

REGRESS = """\
        y_mean, y_scale = y_train.mean(), y_train.std()
        y_train, y_valid, y_test = ((y - y_mean) / y_scale for y in (y_train, y_valid, y_test))
        keras.utils.set_random_seed(seed)
        model = train(x_train, y_train, x_valid, y_valid)
        _, loss = model.evaluate(x_test, y_test, batch_size=1024, verbose=0)
        print(f"seed {seed}: test loss {loss:.4f}, test rmse {y_scale * loss**0.5:.4f}")"""
