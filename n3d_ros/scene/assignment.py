"""One-to-one assignment of least total cost, with pairs that are not allowed."""

from __future__ import annotations

import numpy as np

from n3d_ros.geometry.arrays import BoolArray, FloatArray


def assign(cost: FloatArray, allowed: BoolArray) -> list[tuple[int, int]]:
    """The pairs (row, column) with the least sum of costs; leaving a row or column alone costs nothing.

    So a pair is only made when its cost is below zero: give each allowed pair its cost less what the pair is worth.
    Rows and columns that share no chain of allowed pairs are solved apart, which leaves little to do in a scene.

    Args:
        cost: (R, C), finite where allowed.
        allowed: (R, C) bool.

    Returns:
        Pairs, ascending by row; each row and each column at most once. Of equally good answers always the same one.
    """
    pairs: list[tuple[int, int]] = []
    useful = allowed & (cost < 0)
    for rows, columns in _groups(useful):
        if len(rows) == len(columns) == 1:
            pairs.append((rows[0], columns[0]))
        elif len(rows) == 1 or len(columns) == 1:
            masked = np.where(useful[np.ix_(rows, columns)], cost[np.ix_(rows, columns)], 0.0)
            row, column = np.unravel_index(int(masked.argmin()), masked.shape)
            pairs.append((rows[row], columns[column]))
        else:
            pairs += _solve(cost, useful, rows, columns)
    return sorted(pairs)


def _groups(useful: BoolArray) -> list[tuple[list[int], list[int]]]:
    """Connected rows and columns, each list ascending."""
    groups: list[tuple[list[int], list[int]]] = []
    free: BoolArray = np.asarray(useful.any(axis=1))
    per_row, per_column = useful.sum(axis=1), useful.sum(axis=0)
    for start in range(useful.shape[0]):
        if not free[start]:
            continue
        if per_row[start] == 1 and per_column[column := int(useful[start].argmax())] == 1:
            groups.append(([start], [column]))  # an object in its place, with nothing near: most of a scene
            continue
        rows: BoolArray = np.zeros(useful.shape[0], dtype=np.bool_)
        rows[start] = True
        while True:
            columns = np.asarray(useful[rows].any(axis=0))
            wider = np.asarray(useful[:, columns].any(axis=1))
            if (wider == rows).all():
                break
            rows = wider
        free &= ~rows
        groups.append((np.flatnonzero(rows).tolist(), np.flatnonzero(columns).tolist()))
    return groups


def _solve(cost: FloatArray, useful: BoolArray, rows: list[int], columns: list[int]) -> list[tuple[int, int]]:
    """Least-cost pairs of one group: a column of its own per row, at cost 0, stands for being left alone."""
    part = np.where(useful[np.ix_(rows, columns)], cost[np.ix_(rows, columns)], 0.0)
    padded = np.concatenate([part, np.zeros((len(rows), len(rows)))], axis=1)
    columns_of = _shortest_augmenting_paths(padded)
    return [(rows[i], columns[j]) for i, j in enumerate(columns_of) if j < len(columns) and useful[rows[i], columns[j]]]


def _shortest_augmenting_paths(cost: FloatArray) -> list[int]:
    """Column of each row in a least-cost assignment of all rows, rows <= columns.

    The Hungarian method with potentials, one shortest path per row (Jonker and Volgenant, Computing 38, 1987).
    """
    row_count, column_count = cost.shape
    row_potential, column_potential = np.zeros(row_count), np.zeros(column_count)
    row_of = np.full(column_count, -1)
    for row in range(row_count):
        distance = np.full(column_count, np.inf)
        previous = np.full(column_count, -1)
        done = np.zeros(column_count, dtype=bool)
        visited_rows, current, reached, column = [row], row, 0.0, -1
        while True:
            through = reached + cost[current] - row_potential[current] - column_potential
            shorter = ~done & (through < distance)
            distance[shorter], previous[shorter] = through[shorter], column
            column = int(np.where(done, np.inf, distance).argmin())
            reached = float(distance[column])
            done[column] = True
            if row_of[column] < 0:
                break
            current = int(row_of[column])
            visited_rows.append(current)
        # potentials: rows on the tree gain what is left of the path, finished columns lose it
        row_potential[row] += reached
        for other in visited_rows[1:]:
            own = int(np.flatnonzero(row_of == other)[0])
            row_potential[other] += reached - distance[own]
        column_potential[done] += distance[done] - reached
        while column >= 0:
            before = int(previous[column])
            row_of[column] = row if before < 0 else row_of[before]
            column = before
    return [int(np.flatnonzero(row_of == row)[0]) for row in range(row_count)]
