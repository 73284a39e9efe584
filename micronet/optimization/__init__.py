"""The lowest score that keeps a floor: widths, zeros, rounding chosen layer by layer; then some training, if asked.

Start at `front_search`. From top to bottom, what is in each file:

The search
    search_setup           what a search works with, and its journal
    front_search           networks of one family after the other, towards what may be lost
    closing_in             the foreseen loss at which a network is expected to lose just that
    front                  what a network is expected to lose, and in which order networks are worth a look
    hard_images            held-out training images made as hard as test images
    answers                what a network answers to them, against the one in floating point

What there is to choose from
    network_parts          a network in floating point as layers, hard swishes and other values
    quantizable_layers     its layers, and the numbers that each of their filters multiplies
    hard_swish             hard swish as an addition, a clip and a product
    survey                 options of all of them, by one pass
    layer_options          of a layer: widths and zeros, what they cost, what they lose
    gate_options           of a hard swish
    zeros                  which weights go, and what the others become (optimal brain surgery)
    grids, placement       grids of values, by their squared error or by what they do to the answers
    moments                second moments of what a layer reads and should give
    sensitivity            how far errors move the logits, by gradients
    correlated_errors      how much farther errors of weights move them than independent ones would

From options to a plan
    planning               a plan for a foreseen loss, by layer or uniform
    lagrangian             the options of least loss plus a multiplier of the score (Everett)
    plan                   what is decided of a network

From a plan to a network
    network_maker          rounded, trained, measured, written down
    layerwise              layer after layer on the inputs that the layers before it give
    fitted_rounding        weights rounded so that the layer's output changes least
    objective              what rounding makes small: errors, and what weights cost of the score
    coordinate_descent     the inner loop of rounding: single steps of weights
    accumulator_widths     bits of the sums of rounded filters
    tuning                 a small budget of training on the grids
"""
