"""Waits by an event in one thread, a condition in another, while more threads wait beside."""

import threading

import common

finished = threading.Event()
condition = threading.Condition()


def idle(number):
    while not finished.wait(7 + number):
        pass


def call():
    waiter = threading.Event()
    even = False
    while (wait_s := common.attempt()) is not None:
        even = not even
        if even:
            waiter.wait(wait_s)
        else:
            with condition:
                condition.wait(wait_s)
    finished.set()


threads = [threading.Thread(target=idle, args=(number,)) for number in range(4)]
threads.append(threading.Thread(target=call))
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
